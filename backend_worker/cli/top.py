"""``top``: what the worker does, live on a terminal, like htop."""

from __future__ import annotations

import datetime
import signal
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import kombu.exceptions
import redis.exceptions

from backend_worker.cli import output
from backend_worker.cli.errors import Exit
from backend_worker.cli.workers import running_workers
from backend_worker.config import get_config, redact
from backend_worker.progress import events
from backend_worker.tasks import broker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

EVENTS_SHOWN = 12
# In the list of events these would drown the others; their figures are shown above.
NOT_LISTED = ("batch.stored",)
# What is told of an event, in this order, as far as it has it.
TOLD = (
    *("scan", "from", "to", "reason", "message", "found", "stored", "unchanged", "failed"),
    *("moved", "gone", "seconds", "count", "tracks", "artists", "album", "artist", "root"),
)
BAR_WIDTH = 30


def top(args: argparse.Namespace) -> Exit:
    """Show everything anew every second until Ctrl-C; with ``--once`` one time only."""
    view = Source()
    try:
        if args.json:
            return _print_lines(view, args)
        return _show(view, args)
    except KeyboardInterrupt:
        return Exit.OK  # the way to leave it


def _print_lines(source: Source, args: argparse.Namespace) -> Exit:
    output.print_json_line(source.look())
    if not args.once:
        left = _left_by_ctrl_c()
        while not left.wait(args.interval):
            output.print_json_line(source.look())
    return Exit.OK


def _left_by_ctrl_c() -> threading.Event:
    """Return what the first Ctrl-C sets; the second interrupts at once.

    An exception that comes while Celery disposes of an answer, in a ``__del__``, is lost.
    """
    left = threading.Event()

    def leave(number: int, _frame: object) -> None:
        left.set()
        signal.signal(number, signal.default_int_handler)

    signal.signal(signal.SIGINT, leave)
    return left


def _show(source: Source, args: argparse.Namespace) -> Exit:
    from rich.console import Console  # noqa: PLC0415 - JSON output does without it
    from rich.live import Live  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    if args.once:
        console.print(render(source.look()))
        return Exit.OK
    left = _left_by_ctrl_c()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        live.update(render(source.look()), refresh=True)
        while not left.wait(args.interval):
            live.update(render(source.look()), refresh=True)
    return Exit.OK


class Source:
    """Collects what is shown; remembers the events, and what processor time there was before."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_SHOWN)
        self._after = "-"
        self._processor: dict[str, tuple[float, float]] = {}

    def look(self) -> dict[str, Any]:
        """Return workers, queues and events as they are now; ``away`` tells if Redis is."""
        away: str | None = None
        try:
            workers = running_workers()
            queues = broker.queue_lengths()
            under_way = len(broker.taken_queues())
            self._read_events()
        except (redis.exceptions.RedisError, kombu.exceptions.OperationalError) as error:
            away = f"Redis is not available at {redact(get_config().redis_url)}: {error}"
            workers, queues, under_way = [], {}, 0
        for worker in workers:
            worker["cpu_percent"] = self._cpu_percent(worker)
        return {
            "time": time.time(),
            "away": away,
            "workers": workers,
            "queues": queues,
            "under_way": under_way,
            "events": list(self._events),
        }

    def _read_events(self) -> None:
        while news := events.read(self._after):
            self._after = news[-1]["id"]
            self._events += [event for event in news if event["kind"] not in NOT_LISTED]

    def _cpu_percent(self, worker: dict[str, Any]) -> float | None:
        """Return per cent of one core since the last look."""
        seconds, now = worker["cpu_seconds"], time.monotonic()
        if seconds is None:
            return None
        before, then = self._processor.get(worker["name"], (seconds, now))
        self._processor[worker["name"]] = (seconds, now)
        if now == then or seconds < before:
            return None
        percent: float = round(100 * (seconds - before) / (now - then), 1)
        return percent


def render(report: dict[str, Any]) -> RenderableType:
    """Return a report of :meth:`Source.look` as it is shown."""
    from rich.console import Group  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    parts: list[RenderableType] = []
    when = datetime.datetime.fromtimestamp(report["time"]).astimezone()
    parts.append(Text(f"backend-worker top, {when:%H:%M:%S}", style="bold"))
    if report["away"]:
        parts.append(_text(report["away"], "red"))
    elif not report["workers"]:
        parts.append(_text("no worker answers: is celery-worker.service running?", "red"))
    for worker in report["workers"]:
        parts += _worker(worker)
    if report["queues"]:
        parts.append(_queues(report["queues"], report["under_way"]))
    if report["events"]:
        parts.append(_events(report["events"]))
    return Group(*parts)


def _worker(worker: dict[str, Any]) -> Iterable[RenderableType]:
    yield _text("")
    yield _text(f"{worker['name']}, up {output.duration(worker['uptime_seconds'])}", "bold cyan")
    grid = _grid("", "")
    idle = worker["processes"] - worker["busy_processes"]
    free = max(worker["max_processes"] - worker["processes"], 0)
    squares = "■" * worker["busy_processes"] + "□" * idle + "·" * free
    range_ = f"{worker['min_processes']} to {worker['max_processes']}"
    grid.add_row("processes", f"{squares}  {worker['processes']} of {range_}")
    if worker["cpu_percent"] is not None:
        grid.add_row("processor", f"{worker['cpu_percent']:.0f} % of a core")
    memory = worker["memory_bytes"] or worker["pss_bytes"]
    if memory is not None:
        grid.add_row("memory", _share(memory, worker["memory_high_bytes"]))
    if worker["temperature_c"] is not None:
        grid.add_row("temperature", f"{worker['temperature_c']:.0f} °C")
    grid.add_row("rate", f"{worker['files_per_second']:,.0f} files/s")
    for hang in worker["hanging_folders"]:
        grid.add_row("waits", _text(hang["sentence"], "red"))
    for scan in worker["scans"]:
        grid.add_row(f"scan {scan['scan_id']}", _scan(scan))
    for change in worker["scale_history"][-1:]:
        when = datetime.datetime.fromtimestamp(change["time"]).astimezone()
        words = f"{change['before']}→{change['after']} at {when:%H:%M:%S}: {change['reason']}"
        grid.add_row("scaled", _text(words))
    yield grid


def _scan(scan: dict[str, Any]) -> RenderableType:
    if scan["percent"] is None:
        return _text(f"{scan['found']:,} files found so far, in {scan['folder']}")
    left = f", {scan['time_left']}" if scan["time_left"] else ""
    done = scan["found"] - scan["waiting"]
    bar = _bar(scan["percent"] / 100)
    return _text(f"{bar} {scan['percent']} %  {done:,} of {scan['found']:,}{left}")


def _queues(queues: dict[str, int], under_way: int) -> RenderableType:
    grid = _grid("", "", "")
    grid.add_row("")
    most = max(*queues.values(), 1)
    for name, length in queues.items():
        grid.add_row(name, f"{length:,}", "█" * round(BAR_WIDTH * length / most))
    grid.add_row("under way", f"{under_way:,}", "")
    return grid


def _events(shown: list[dict[str, Any]]) -> RenderableType:
    grid = _grid("", "", "")
    grid.add_row("")
    for event in reversed(shown):
        when = datetime.datetime.fromtimestamp(event["time"]).astimezone()
        words = "  ".join(f"{name} {event[name]}" for name in TOLD if event.get(name))
        grid.add_row(f"{when:%H:%M:%S}", _text(event["kind"]), _text(words))
    return grid


def _grid(*columns: str) -> Table:
    """Return a table without lines whose last column is cut where the terminal ends."""
    from rich.table import Table  # noqa: PLC0415 - as above

    grid = Table.grid(padding=(0, 2), expand=True)
    for name in columns[:-1]:
        grid.add_column(name, style="dim", no_wrap=True)
    grid.add_column(columns[-1], no_wrap=True, overflow="ellipsis", ratio=1)
    return grid


def _share(size: int, high: int | None) -> str:
    if not high:
        return f"{size / 1e6:,.0f} MB"
    return f"{_bar(size / high)} {size / 1e6:,.0f} of {high / 1e6:,.0f} MB"


def _bar(share: float) -> str:
    full = round(BAR_WIDTH * min(max(share, 0), 1))
    return "█" * full + "░" * (BAR_WIDTH - full)


def _text(words: str, style: str = "") -> Text:
    text: Text = output.printable(words)
    text.style = style
    return text
