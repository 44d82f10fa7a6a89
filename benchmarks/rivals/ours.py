"""This project, as it is measured beside others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.lab import Lab
from benchmarks.rivals.program import Program

if TYPE_CHECKING:
    from pathlib import Path


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
            self.lab.settle()
            return {
                "wall_seconds": status.seconds,
                "cpu_seconds": cpu["all"],
                "worker_cpu_seconds": cpu["worker"],
                "peak_pss": peaks["all"],
                "worker_peak_pss": peaks["worker"],
                "all_done_wall_seconds": meter.elapsed,
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
