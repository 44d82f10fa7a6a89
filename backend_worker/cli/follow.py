"""Live progress of a scan, and its summary."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError
from backend_worker.progress.rate import Rate
from backend_worker.storage import scans

if TYPE_CHECKING:
    from backend_worker.storage.scans import ScanStatus

POLL_SECONDS = 0.2

ProcessCounter = Callable[[], int | None]


def follow(
    scan_id: int,
    *,
    json_lines: bool = False,
    count_processes: ProcessCounter = lambda: None,
    check_worker: Callable[[], None] = lambda: None,
) -> ScanStatus:
    """Show a scan's progress until it ends and return its final figures.

    Args:
        scan_id: the scan.
        json_lines: print a line of JSON at every change instead.
        count_processes: tells how many worker processes run, None if unknown.
        check_worker: raises when the worker is known to have ended.

    Raises:
        UserError: there is no such scan.
    """
    view = _JsonView() if json_lines else _LiveView(count_processes)
    with view:
        while True:
            status = scans.get(scan_id)
            if status is None:
                raise UserError(f"there is no scan {scan_id}", Exit.NOT_FOUND)
            view.show(status)
            if not status.active:
                return status
            check_worker()
            time.sleep(POLL_SECONDS)


class _JsonView:
    def __init__(self) -> None:
        self._last: dict[str, Any] = {}

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, status: ScanStatus) -> None:
        figures = status.as_dict()
        if figures != self._last:
            output.print_json_line(figures)
            self._last = figures


class _LiveView:
    def __init__(self, count_processes: ProcessCounter) -> None:
        from rich.console import Console  # noqa: PLC0415 - JSON output does without it
        from rich.live import Live  # noqa: PLC0415 - as above

        self._console = Console(highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._count_processes = count_processes
        self._rate = Rate()

    def __enter__(self) -> None:
        self._live.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def show(self, status: ScanStatus) -> None:
        from rich.table import Table  # noqa: PLC0415 - as above

        done = status.found - status.waiting
        rate = self._rate.update(done)
        grid = Table.grid(padding=(0, 2))
        figures = {
            "found": f"{status.found:,}" + ("" if status.walk_ended else "…"),
            "read": f"{status.stored + status.failed:,}",
            "stored": f"{status.stored:,}",
            "unchanged": f"{status.unchanged:,}",
            "failed": f"{status.failed:,}",
            "files/s": f"{rate:,.0f}",
        }
        processes = self._count_processes()
        if processes is not None:
            figures["processes"] = str(processes)
        figures["ETA"] = eta(status, rate)
        for name in figures:
            grid.add_column(name)
        grid.add_row(*(f"[dim]{name}[/dim] {value}" for name, value in figures.items()))
        outer = Table.grid()
        outer.add_row(_bar(status))
        outer.add_row(grid)
        self._live.update(outer, refresh=True)


def _bar(status: ScanStatus) -> Any:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415 - as above

    # While the walk goes on the whole is not known: the bar only pulses.
    total = status.found if status.walk_ended else None
    return ProgressBar(total=total or None, completed=status.found - status.waiting, width=72)


def eta(status: ScanStatus, rate: float) -> str:
    """Return the time left as text, ``…`` while it cannot be known."""
    if not status.walk_ended or rate <= 0:
        return "…"
    return output.duration(status.waiting / rate)


def show_summary(status: ScanStatus) -> None:
    """Print how a scan ended."""
    rows = {
        "folder": status.root,
        "status": status.status + (f": {status.message}" if status.message else ""),
        "found": f"{status.found:,} files in {status.directories:,} folders",
        "stored": f"{status.stored:,}" + (f" (moved: {status.moved:,})" if status.moved else ""),
        "unchanged": status.unchanged,
        "failed": status.failed,
        "ignored": status.ignored,
        "gone": status.gone,
        "time": f"{status.seconds:.1f} s" if status.seconds is not None else "",
    }
    if status.seconds and status.found:
        rows["rate"] = f"{status.found / status.seconds:,.0f} files/s"
    output.print_facts(f"scan {status.id}", rows)
    if status.status == "completed" and not status.found:
        output.print_line("no music was found there: `backend-worker doctor` looks why")
    for path, reason in scans.errors_of(status.id, limit=10):
        output.print_line(f"could not look into {path}: {reason}")
