"""What all programs that are measured have in common."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from benchmarks.installing import debian_version, install_from_debian
from benchmarks.meter import run_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

START_SECONDS = 60
SCAN_SECONDS = 1800
POLL_SECONDS = 0.02
ROOT = Path(__file__).parents[2]


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
        self.stack.callback(end, process)
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


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process: in good order if it does so within ten seconds."""
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


def count(database: Path, table: str, where: str = "1") -> int:
    """Return the number of rows of a program's SQLite table."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]
    finally:
        connection.close()


def free_port() -> int:
    """Return a TCP port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
