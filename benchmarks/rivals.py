"""The programs that are measured beside each other, each with a configuration of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from benchmarks.installing import debian_version, install_from_debian, install_from_pypi
from benchmarks.lab import Lab
from benchmarks.libraries import audio_files
from benchmarks.meter import Meter, run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 60
SCAN_SECONDS = 1800
POLL_SECONDS = 0.02
ROOT = Path(__file__).parents[1]


class Program:
    """One program; a context manager that ends what it started.

    Args:
        cache: folder where programs that are installed stay from one run to the next.
    """

    debian: ClassVar[tuple[str, ...]] = ()  # packages that bring it, itself first
    units: ClassVar[tuple[str, ...]] = ()  # what they would start with the machine
    command: ClassVar[str] = ""  # its executable
    can_rescan: ClassVar[bool] = True

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def prepare(self, *, install: bool) -> str:
        """Install the program if need be and return its version.

        Args:
            install: Debian packages may be installed.

        Raises:
            MissingProgramError: it is not there.
        """
        # one that the owner built is taken as well
        if not shutil.which(self.command) or not all(map(debian_version, self.debian[1:])):
            install_from_debian(self.debian, self.units, allowed=install)
        return debian_version(self.debian[0]) or "unknown"

    def start(self, music: Path, state: Path) -> None:
        """Write the configuration, and start what must run before a scan.

        Args:
            music: the folder to scan.
            state: an empty folder for everything that the program writes, its home too.
        """
        self.music = music
        self.state = state
        self.environment = {
            "HOME": str(state),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(state / "config"),
            "XDG_CACHE_HOME": str(state / "cache"),
            "XDG_DATA_HOME": str(state / "data"),
        }

    def first_scan(self) -> dict[str, float]:
        """Scan for the first time and return ``wall_seconds``, ``cpu_seconds``, ``peak_pss``."""
        raise NotImplementedError

    def rescan(self) -> dict[str, float]:
        """Scan again, so that changed, new and gone files are noticed."""
        raise NotImplementedError

    def tracks(self) -> int:
        """Return how many tracks it knows now."""
        raise NotImplementedError

    def popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Run a command with the program's own home; its output goes to a log there."""
        with (self.state / "log").open("ab") as log:
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.stack.callback(_end, process)
        return process

    def run(self, *command: str) -> dict[str, float]:
        """Run a command to its end and return what it used.

        Raises:
            RuntimeError: it failed.
        """
        try:
            return run_to_end(self.popen(list(command)))
        except RuntimeError as error:
            raise RuntimeError(f"{error}: {self.last_words()}") from error

    def last_words(self) -> str:
        """Return the end of what the program wrote."""
        text = (self.state / "log").read_text(encoding="utf-8", errors="replace")
        return " / ".join(text.strip().splitlines()[-3:]) or "it wrote nothing"

    def wait_until(self, condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        """Wait for a condition while a program runs.

        Raises:
            RuntimeError: it ended, or took too long.
        """
        deadline = time.monotonic() + SCAN_SECONDS
        while not condition():
            program = os.path.basename(process.args[0])
            if process.poll() is not None:
                code = process.returncode
                raise RuntimeError(f"{program} ended with {code}: {self.last_words()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{program} took longer than {SCAN_SECONDS} s")
            time.sleep(POLL_SECONDS)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
    if process.poll() is None:
        process.kill()
        process.wait()


def added(*steps: dict[str, float]) -> dict[str, float]:
    """Return what several commands one after the other have used together."""
    total = {name: sum(step[name] for step in steps) for name in ("wall_seconds", "cpu_seconds")}
    return total | {"peak_pss": max(step["peak_pss"] for step in steps)}


class Ours(Program):
    """The one worker with its servers, as the unit runs them."""

    def prepare(self, *, install: bool) -> str:
        """Return the version: it is there."""
        del install
        return "this commit"

    def start(self, music: Path, state: Path) -> None:
        """Start servers and worker."""
        super().start(music, state)
        self.lab = self.stack.enter_context(Lab(state / "lab"))
        self.lab.start_one()

    def first_scan(self) -> dict[str, float]:
        """Scan; vectors and covers, which others do not make, are counted apart.

        ``cpu_seconds`` and ``peak_pss`` are those of worker, Redis and PostgreSQL together.
        """
        with self.lab.meter() as meter:
            status = self.lab.scan(self.music)
            cpu = meter.cpu()
            peaks = dict(meter.peak_pss)
            calm = self.lab.settle()
            return {
                "wall_seconds": status.seconds,
                "cpu_seconds": cpu["all"],
                "worker_cpu_seconds": cpu["worker"],
                "peak_pss": peaks["all"],
                "worker_peak_pss": peaks["worker"],
                "all_done_wall_seconds": meter.elapsed - calm,
                "all_done_cpu_seconds": meter.cpu()["all"],
                "all_done_peak_pss": meter.peak_pss["all"],
            }

    def rescan(self) -> dict[str, float]:
        """Scan again."""
        return self.first_scan()

    def tracks(self) -> int:
        """Ask the database."""
        from backend_worker.storage import search  # noqa: PLC0415 - settings come first

        return search.totals()["tracks"]


class Beets(Program):
    """beets, told to import the tags as they are and to leave the files alone."""

    def prepare(self, *, install: bool) -> str:
        """Install it from PyPI, into an environment of its own."""
        del install
        python = install_from_pypi(self.cache, "beets")
        code = "from importlib.metadata import version; print(version('beets'))"
        return subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()

    def start(self, music: Path, state: Path) -> None:
        """Write its configuration: no plugins, and folders that it knows are passed over."""
        super().start(music, state)
        self.beet = str(self.cache / "beets" / "bin" / "beet")
        self.environment["BEETSDIR"] = str(state)
        (state / "config.yaml").write_text(
            f"directory: {music}\nlibrary: {state / 'library.db'}\nplugins: []\n"
            "import:\n  incremental: yes\n",
            encoding="utf-8",
        )

    def first_scan(self) -> dict[str, float]:
        """Import all."""
        return self.run(self.beet, "import", "-A", "-C", "-q", str(self.music))

    def rescan(self) -> dict[str, float]:
        """Import new folders, then update changed files: it takes both to notice everything."""
        return added(self.first_scan(), self.run(self.beet, "update", "-M"))

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "library.db", "items")


def count(database: Path, table: str, where: str = "1") -> int:
    """Return the number of rows of a program's SQLite table."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]
    finally:
        connection.close()


class Mpd(Program):
    """MPD's database update, asked for through its socket."""

    debian = ("mpd",)
    units = ("mpd.service", "mpd.socket")
    command = "mpd"

    def start(self, music: Path, state: Path) -> None:
        """Start it on an empty folder: the music appears there when the scan begins."""
        super().start(music, state)
        self.link = state / "music" / "library"
        self.link.parent.mkdir()
        self.socket = state / "socket"
        (state / "mpd.conf").write_text(
            f'music_directory "{state / "music"}"\n'
            f'db_file "{state / "database"}"\n'
            f'bind_to_address "{self.socket}"\n'
            'auto_update "no"\nzeroconf_enabled "no"\n'
            'audio_output {\n  type "null"\n  name "none"\n}\n',
            encoding="utf-8",
        )
        self.process = self.popen([shutil.which("mpd"), "--no-daemon", str(state / "mpd.conf")])
        self.wait_until(self.socket.exists, self.process)
        self._wait_for_update()  # it begins with one when it has no database
        self.link.symlink_to(self.music)

    def first_scan(self) -> dict[str, float]:
        """Update the database."""
        with Meter({"program": [self.process.pid]}) as meter:
            self._ask("update")
            self._wait_for_update()
            return {
                "wall_seconds": meter.elapsed,
                "cpu_seconds": meter.cpu()["program"],
                "peak_pss": meter.peak_pss["program"],
            }

    def rescan(self) -> dict[str, float]:
        """Update again."""
        return self.first_scan()

    def tracks(self) -> int:
        """Ask it."""
        return int(self._ask("stats")["songs"])

    def _wait_for_update(self) -> None:
        self.wait_until(lambda: "updating_db" not in self._ask("status"), self.process)

    def _ask(self, command: str) -> dict[str, str]:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_SECONDS)
            connection.connect(str(self.socket))
            with connection.makefile("rwb") as stream:
                stream.readline()  # its greeting
                stream.write(command.encode() + b"\n")
                stream.flush()
                answer = {}
                for line in stream:
                    if line.startswith(b"ACK"):
                        raise RuntimeError(f"MPD refuses {command}: {line.decode().strip()}")
                    if line == b"OK\n":
                        break
                    key, _, value = line.decode().strip().partition(": ")
                    answer[key] = value
        return answer


class MopidyLocal(Program):
    """``mopidy local scan``."""

    # the last one decodes AAC and ALAC, without which it passes over such files
    debian = ("mopidy-local", "mopidy", "gstreamer1.0-libav")
    units = ("mopidy.service",)
    command = "mopidy"

    def start(self, music: Path, state: Path) -> None:
        """Write its configuration: nothing but the extension for local files."""
        super().start(music, state)
        (state / "mopidy.conf").write_text(
            f"[core]\ncache_dir = {state / 'cache'}\nconfig_dir = {state / 'config'}\n"
            f"data_dir = {state / 'data'}\n"
            f"[local]\nenabled = true\nmedia_dir = {music}\n"
            "[file]\nenabled = false\n[http]\nenabled = false\n[stream]\nenabled = false\n"
            "[m3u]\nenabled = false\n[softwaremixer]\nenabled = false\n",
            encoding="utf-8",
        )

    def first_scan(self) -> dict[str, float]:
        """Scan."""
        config = str(self.state / "mopidy.conf")
        return self.run(shutil.which("mopidy"), "--config", config, "local", "scan")

    def rescan(self) -> dict[str, float]:
        """Scan again: it compares times of modification."""
        return self.first_scan()

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "data" / "local" / "library.db", "track")


def free_port() -> int:
    """Return a TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MiniDlna(Program):
    """MiniDLNA's scan at its start, in the foreground; it ends when it says so in its log."""

    debian = ("minidlna",)
    units = ("minidlna.service",)
    command = "minidlnad"

    def start(self, music: Path, state: Path) -> None:
        """Write its configuration: on the loopback interface alone."""
        super().start(music, state)
        (state / "minidlna.conf").write_text(
            f"media_dir=A,{music}\ndb_dir={state / 'db'}\nlog_dir={state}\n"
            f"network_interface=lo\nport={free_port()}\ninotify=no\nlog_level=general,scanner=info\n",
            encoding="utf-8",
        )

    def first_scan(self) -> dict[str, float]:
        """Start it with an empty database."""
        return self._scan(b" finished (")

    def rescan(self) -> dict[str, float]:
        """Start it again and let it look for changes."""
        return self._scan(b"Rescan completed", "-r")

    def _scan(self, last_words: bytes, *options: str) -> dict[str, float]:
        # 1.3.0 writes the one, later versions in the foreground the other
        logs = [self.state / "minidlna.log", self.state / "log"]
        for log in logs:
            log.unlink(missing_ok=True)
        process = self.popen(
            [
                shutil.which("minidlnad"),
                "-S",  # in the foreground
                *("-f", str(self.state / "minidlna.conf")),
                *("-P", str(self.state / "pid")),
                *options,
            ]
        )
        with Meter({"program": [process.pid]}) as meter:
            self.wait_until(
                lambda: any(last_words in log.read_bytes() for log in logs if log.exists()),
                process,
            )
            wall, cpu = meter.elapsed, meter.cpu()["program"]
        _end(process)
        return {"wall_seconds": wall, "cpu_seconds": cpu, "peak_pss": meter.peak_pss["program"]}

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "db" / "files.db", "DETAILS", "MIME LIKE 'audio/%'")


class Loop(Program):
    """One of the bare loops, in a Python of its own."""

    can_rescan = False
    words: ClassVar[tuple[str, ...]] = ()

    def prepare(self, *, install: bool) -> str:
        """Return the version: it is there."""
        del install
        return f"Python {sys.version.split()[0]}"

    def first_scan(self) -> dict[str, float]:
        """Run it."""
        kind, *options = self.words
        command = [sys.executable, "-m", "benchmarks.loops", kind, str(self.music), *options]
        return self.run(*command)

    def popen(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Run it where it can import this package."""
        self.environment["PYTHONPATH"] = str(ROOT)
        return super().popen(command)

    def tracks(self) -> int:
        """Count the files that it went through."""
        return len(audio_files(self.music))


class WalkLoop(Loop):
    """Walk and stat."""

    words = ("walk",)


class ReadLoop(Loop):
    """Read the first 64 kB."""

    words = ("read",)


class TagsLoop(Loop):
    """mutagen in one process."""

    words = ("tags",)


class ParallelTagsLoop(Loop):
    """mutagen in as many processes as there are cores."""

    words = ("tags", str(len(os.sched_getaffinity(0))))


# By the names that tables have; the loops are the yardsticks of the others.
PROGRAMS: dict[str, type[Program]] = {
    "backend-worker": Ours,
    "MPD": Mpd,
    "MiniDLNA": MiniDlna,
    "Mopidy-Local": MopidyLocal,
    "beets": Beets,
    "loop: walk and stat": WalkLoop,
    "loop: first 64 kB": ReadLoop,
    "loop: mutagen, 1 process": TagsLoop,
    "loop: mutagen, a process a core": ParallelTagsLoop,
}
