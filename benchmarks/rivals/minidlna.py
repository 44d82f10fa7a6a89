"""MiniDLNA."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from backend_worker.worker.usage import tree_usage
from benchmarks.meter import Meter
from benchmarks.rivals.program import Program, count, end, free_port

if TYPE_CHECKING:
    from pathlib import Path


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
        # the process that scans says so first, then closes the database
        self.wait_until(lambda: len(tree_usage(process.pid).processes) == 1, process)
        end(process)
        return {"wall_seconds": wall, "cpu_seconds": cpu, "peak_pss": meter.peak_pss["program"]}

    def tracks(self) -> int:
        """Ask its database."""
        return count(self.state / "db" / "files.db", "DETAILS", "MIME LIKE 'audio/%'")
