"""Servers, workers and scans for one measurement, each from nothing and in a process of its own."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from backend_worker.embedded import EmbeddedServers, end_with_parent
from backend_worker.queues import QUEUE_NAMES
from backend_worker.worker.usage import tree_usage
from benchmarks.meter import Meter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backend_worker.storage.scans import ScanStatus

Result = TypeVar("Result")

# The nine services of the earlier system, each with a Python of its own and one process for
# tasks. Their names are those that playbooks/migrate.yml looks for; what was one service for
# everything that could wait takes the three queues of that kind.
NINE = {
    "scan-worker-1": "scan",
    "scan-worker-2": "scan",
    "extract-worker-1": "extract",
    "extract-worker-2": "extract",
    "batch-worker": "batch",
    "insert-worker-1": "insert",
    "insert-worker-2": "insert",
    "vector-worker": "vector",
    "deferred-worker": "deferred,covers,maintenance",
}
READY_SECONDS = 600  # emulated, nine workers take minutes
MOST_PROCESSES = 4
STOP_SECONDS = 60
SCAN_SECONDS = 3600
POLL_SECONDS = 0.1
# `broker.at_rest`: the length of each queue's four lists of priorities, what is taken, who waits,
# and the two words around a transaction
_COMMANDS_OF_A_LOOK = 4 * len(QUEUE_NAMES) + 4


def isolated(function: Callable[..., Result], *args: Any) -> Result:
    """Call a function in a fresh interpreter: nothing of an earlier measurement is in it."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        return executor.submit(function, *args).result()


class Lab:
    """Fresh servers, and the workers that are started on them; a context manager.

    It sets this process's environment, so nothing of ours may have read the settings before:
    see :func:`isolated`.
    """

    def __init__(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.servers = EmbeddedServers(folder)
        self.folder = folder
        self.workers: list[int] = []
        self._asked = 0  # commands to Redis that are this lab's own questions
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for name in [name for name in os.environ if name.startswith("BACKEND_WORKER_")]:
            del os.environ[name]  # what is set here must not change what is measured
        os.environ.update(self.servers.environment())
        os.environ["BACKEND_WORKER_COVER_ART_ARCHIVE"] = "no"  # nothing of the internet
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._stack.enter_context(self.servers)
        self._stack.callback(_close_connections)
        _migrate()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start_one(self) -> None:
        """Start the one worker as the unit does, and wait until it is ready.

        It has never more processes than there are cores, as roles/celery_worker sees to.
        """
        most = min(MOST_PROCESSES, len(os.sched_getaffinity(0)))
        os.environ.setdefault("BACKEND_WORKER_AUTOSCALE_MAX", str(most))
        self._start({"celery-worker": [sys.executable, "-m", "backend_worker", "worker"]})

    def start_nine(self) -> None:
        """Start nine workers as ``celery worker`` starts, and wait until all are ready."""
        os.environ["BACKEND_WORKER_STORE_WHERE_READ"] = "no"  # each its step, as they did
        celery = [sys.executable, "-m", "celery", "-A", "backend_worker.celery_app", "worker"]
        self._start(
            {
                name: [*celery, f"--queues={queues}", "--concurrency=1", f"--hostname={name}@%h"]
                for name, queues in NINE.items()
            }
        )

    def start_bare(self) -> None:
        """Start a Celery worker without anything of ours in it, and wait until it is ready."""
        celery = [sys.executable, "-m", "celery", "-A", "benchmarks.bare_app", "worker"]
        self._start({"bare": [*celery, "--concurrency=1"]})

    def groups(self) -> dict[str, list[int]]:
        """Return the roots of the process trees, as the meter takes them."""
        postgres, redis = self.servers.postgres.process, self.servers.redis.process
        return {"worker": self.workers, "redis": [redis.pid], "postgresql": [postgres.pid]}

    def meter(self) -> Meter:
        """Return a meter of workers and servers."""
        return Meter(self.groups())

    def redis_operations(self) -> int:
        """Return how many commands Redis has carried out, without this lab's own questions."""
        from backend_worker.progress.connection import redis_client  # noqa: PLC0415 - settings

        count = int(redis_client().info("stats")["total_commands_processed"])
        self._asked += 1
        return count - self._asked

    def scan(self, folder: Path) -> ScanStatus:
        """Scan a folder and return the final figures.

        Raises:
            RuntimeError: the scan did not complete.
        """
        from backend_worker.cli.scan import start_scan  # noqa: PLC0415 - settings come first
        from backend_worker.storage import scans  # noqa: PLC0415 - as above

        newest = self._newest_event()
        scan_id = start_scan(str(folder))
        deadline = time.monotonic() + SCAN_SECONDS
        status = scans.get(scan_id)
        while status.active and time.monotonic() < deadline:
            newest = self._wait_for_event(newest)
            status = scans.get(scan_id)
        if status.status != "completed":
            raise RuntimeError(f"the scan of {folder} is {status.status}: {status.message}")
        return status

    def _newest_event(self) -> str:
        from backend_worker.config import get_config  # noqa: PLC0415 - settings come first
        from backend_worker.progress.connection import redis_client  # noqa: PLC0415 - as above

        self._asked += 1
        newest = redis_client().xrevrange(get_config().progress_stream, count=1)
        return newest[0][0] if newest else "0-0"

    def _wait_for_event(self, after: str) -> str:
        """Wait for news of a scan, without a question in between that would cost something.

        Returns:
            The number of the newest event; after a second without any the one before.
        """
        from backend_worker.config import get_config  # noqa: PLC0415 - settings come first
        from backend_worker.progress.connection import redis_client  # noqa: PLC0415 - as above

        while True:
            self._asked += 1
            found = redis_client().xread({get_config().progress_stream: after}, block=1000)
            if not found:
                return after
            entries = found[0][1]  # of the one stream
            after = entries[-1][0]
            if any(fields["kind"].startswith("scan.") for _, fields in entries):
                return after

    def settle(self) -> None:
        """Wait until the workers have nothing left to do.

        Raises:
            RuntimeError: they still have after an hour.
        """
        from backend_worker.tasks import broker  # noqa: PLC0415 - settings come first

        deadline = time.monotonic() + SCAN_SECONDS
        self._asked += _COMMANDS_OF_A_LOOK
        while not broker.at_rest():
            if time.monotonic() > deadline:
                raise RuntimeError("the worker does not come to an end with its messages")
            time.sleep(POLL_SECONDS)
            self._asked += _COMMANDS_OF_A_LOOK

    def wait_for_fewest_processes(self, seconds: float = 60) -> None:
        """Wait until the worker has scaled down; the nine never do."""
        if len(self.workers) > 1:
            return
        deadline = time.monotonic() + seconds
        while len(tree_usage(*self.workers).processes) > 2 and time.monotonic() < deadline:
            time.sleep(0.5)

    def _start(self, commands: dict[str, list[str]]) -> None:
        from backend_worker.celery_app import app  # noqa: PLC0415 - settings come first

        processes = [
            self._stack.enter_context(_running(command, self.folder / f"{name}.log"))
            for name, command in commands.items()
        ]
        self.workers = [process.pid for process in processes]
        deadline = time.monotonic() + READY_SECONDS
        while len(app.control.ping(timeout=0.5, limit=len(processes))) < len(processes):
            if any(process.poll() is not None for process in processes):
                raise RuntimeError(f"a worker has ended; its log is in {self.folder}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no worker answers after {READY_SECONDS} s")
        self.settle()


@contextmanager
def _running(command: list[str], log_file: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command,
            # as the unit: softly, and one thread for each library's arithmetic
            env={
                **os.environ,
                "REMAP_SIGTERM": "SIGQUIT",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - none is forking
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _migrate() -> None:
    from backend_worker.storage.connection import connect  # noqa: PLC0415 - settings come first
    from backend_worker.storage.migrations import migrate  # noqa: PLC0415 - as above

    connection = connect()
    migrate(connection)
    connection.close()


def _close_connections() -> None:
    from backend_worker.storage.connection import close_process_connection  # noqa: PLC0415 - as above

    close_process_connection()
