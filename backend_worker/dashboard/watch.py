"""Looking at the worker, the queues and the running scan, as often as somebody wants to know."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis.exceptions

from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.workers import Workers
from backend_worker.progress import figures
from backend_worker.progress.connection import impatient_client
from backend_worker.progress.rate import Rate
from backend_worker.queues import UNACKED_KEY
from backend_worker.storage import scans, search
from backend_worker.tasks import broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from backend_worker.dashboard.services import Services
    from backend_worker.storage.scans import ScanStatus

logger = logging.getLogger(__name__)

SCAN_SECONDS = 1.0
BOARD_SECONDS = 2.0
TOTALS_SECONDS = 5.0
# Counting 100,000 tracks takes 0.3 s on a PC, some seconds on a Pi: not all of its time.
TOTALS_SHARE = 0.05
FLOWER_SECONDS = 30.0
FLOWER_ANSWER_SECONDS = 0.5
# Batches end in bursts; the rate is that of several.
RATE_SECONDS = 10.0
# For which Redis may hold up one of the threads.
REDIS_SECONDS = 5.0


class Remembered:
    """An answer that is asked for anew only when it is older than some seconds.

    Many who ask at the same moment wait for one answer.

    Args:
        seconds: how old it may be.
        ask: gives it.
        share: of the time that asking may take in the long run; an answer that took longer is
            kept for longer.
    """

    def __init__(
        self, seconds: float, ask: Callable[[], Awaitable[Any]], share: float = 1.0
    ) -> None:
        self._seconds = seconds
        self._share = share
        self._kept_seconds = seconds
        self._ask = ask
        self._answer: Any = None
        self._at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self) -> Any:
        """Return the answer; what asking raises is raised."""
        async with self._lock:
            if time.monotonic() - self._at >= self._kept_seconds:
                began = time.monotonic()
                self._answer = await self._ask()
                self._at = time.monotonic()
                self._kept_seconds = max(self._seconds, (self._at - began) / self._share)
            return self._answer


class Watch:
    """Answers what is going on; while clients listen, it tells them by itself."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._workers = Workers(services.config)
        self._task: asyncio.Task[None] | None = None
        self._rates: dict[int, Rate] = {}
        self._cpu = _Processor()
        self.workers = Remembered(BOARD_SECONDS * 0.9, self._ask_workers)
        self.queues = Remembered(BOARD_SECONDS * 0.9, lambda: services.ask(_queues))
        self.totals = Remembered(TOTALS_SECONDS, lambda: services.ask(search.totals), TOTALS_SHARE)
        self.scans = Remembered(SCAN_SECONDS * 0.9, self._ask_scans)
        self.flower_runs = Remembered(FLOWER_SECONDS, self._look_for_flower)

    def begin(self) -> None:
        """Watch as long as somebody listens."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
        self._workers.close()

    async def status(self) -> dict[str, Any]:
        """Return everything for ``/api/status``.

        Raises:
            Refusal: a server is away.
        """
        workers, queues, totals, running = await asyncio.gather(
            self.workers.get(), self.queues.get(), self.totals.get(), self.scans.get()
        )
        library = dict(totals)
        library["duration_seconds"] = library.pop("seconds")
        return {
            "workers": workers,
            "queues": queues["waiting"],
            "under_way": queues["under_way"],
            "library": library,
            "scan": running[0] if running else None,
            "board": self._board(workers),
        }

    async def _run(self) -> None:
        turn = 0
        while self._services.hub.listeners:
            started = time.monotonic()
            await self._tell("postgresql", self._tell_scans)
            if turn % round(BOARD_SECONDS / SCAN_SECONDS) == 0:
                await self._tell("redis", self._tell_board)
            turn += 1
            await asyncio.sleep(max(0.1, SCAN_SECONDS - (time.monotonic() - started)))

    async def _tell(self, server: str, tell: Callable[[], Awaitable[None]]) -> None:
        """Tell figures, or that their server is away."""
        hub = self._services.hub
        try:
            await tell()
        except Refusal as refusal:
            # of Redis the reader of the events knows best
            if server != "redis":
                hub.set_away(server, refusal.sentence)
        except Exception:
            logger.exception("the figures of the moment are not told")
        else:
            if server != "redis":
                hub.set_away(server, None)

    async def _tell_scans(self) -> None:
        for scan in await self.scans.get():
            self._services.hub.show("scan.progress", scan, scan=scan["scan"])

    async def _tell_board(self) -> None:
        workers, queues = await asyncio.gather(self.workers.get(), self.queues.get())
        self._services.hub.show(
            "board",
            self._board(workers)
            | {
                "time": time.time(),
                "workers": len(workers),
                "processes": sum(worker["processes"] for worker in workers),
                "max_processes": sum(worker["max_processes"] for worker in workers),
                "queued": sum(queues["waiting"].values()),
                "queues": queues["waiting"],
                "under_way": queues["under_way"],
            },
        )

    def _board(self, workers: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what all workers use together, None where none of them tells."""
        cpu_seconds = _total(workers, "cpu_seconds")
        temperatures = [w["temperature_c"] for w in workers if w["temperature_c"] is not None]
        changes = [change for worker in workers for change in worker["scale_history"]]
        return {
            "memory_bytes": _total(workers, "memory_bytes"),
            "memory_high_bytes": _total(workers, "memory_high_bytes"),
            "pss_bytes": _total(workers, "pss_bytes"),
            "temperature_c": max(temperatures, default=None),
            "cpu_percent": None if cpu_seconds is None else self._cpu.percent(cpu_seconds),
            "files_per_second": _total(workers, "files_per_second"),
            "scale_events": [
                {
                    "time": change["time"],
                    "from": change["before"],
                    "to": change["after"],
                    "reason": change["reason"],
                }
                for change in sorted(changes, key=lambda change: change["time"])
            ],
        }

    async def _ask_workers(self) -> list[dict[str, Any]]:
        try:
            return await self._workers.ask()
        except Exception as error:
            sentence = self._services.explain(error)
            if sentence is None and not isinstance(error, OSError):
                raise
            raise Refusal(503, sentence or f"Redis is not available: {error}") from error

    async def _ask_scans(self) -> list[dict[str, Any]]:
        running = await self._services.ask(_running_scans)
        folders = await self._services.ask(_folders) if running else {}
        self._rates = {
            status.id: self._rates.get(status.id) or Rate(RATE_SECONDS) for status in running
        }
        return [
            _progress(status, self._rates[status.id]) | {"folder": folders.get(status.id)}
            for status in running
        ]

    async def _look_for_flower(self) -> bool:
        url = urlsplit(self._services.config.dashboard_flower_url)
        if not url.hostname:
            return False
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            _, writer = await asyncio.wait_for(
                asyncio.open_connection(url.hostname, port), FLOWER_ANSWER_SECONDS
            )
        except (OSError, TimeoutError):
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


class _Processor:
    """Per cent of one core, from processor seconds at two moments."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._percent: float | None = None

    def percent(self, seconds: float) -> float | None:
        """Take the processor seconds so far; None the first time and after a worker's end."""
        now = time.monotonic()
        if self._before is None or seconds < self._before[1]:
            self._percent = None
        elif seconds > self._before[1] or now - self._before[0] >= BOARD_SECONDS:
            self._percent = round(100 * (seconds - self._before[1]) / (now - self._before[0]), 1)
        else:
            return self._percent  # the same answer once more
        self._before = (now, seconds)
        return self._percent


def _total(workers: list[dict[str, Any]], name: str) -> Any:
    known = [worker[name] for worker in workers if worker[name] is not None]
    return sum(known) if known else None


def _queues() -> dict[str, Any]:
    with impatient_client(REDIS_SECONDS) as client:
        return {
            "waiting": broker.queue_lengths(client),
            "under_way": client.hlen(UNACKED_KEY),
        }


def _running_scans() -> list[ScanStatus]:
    found = (scans.get(scan.id) for scan in scans.active())
    return [status for status in found if status is not None and status.active]


def _folders() -> dict[int, str]:
    """Return the folder that each running scan has come to; nothing while Redis is away."""
    try:
        with impatient_client(REDIS_SECONDS) as client:
            running = figures.running(client)
    except redis.exceptions.RedisError:
        return {}
    return {scan.scan_id: scan.folder for scan in running if scan.folder}


def _progress(status: ScanStatus, measured: Rate) -> dict[str, Any]:
    """Return a running scan's figures, with files a second and the seconds that are left."""
    rate = measured.update(status.found - status.waiting)
    left = status.waiting / rate if status.walk_ended and rate > 0 else None
    return status.as_dict() | {
        "scan": status.id,
        "rate": round(rate, 1),
        "seconds_left": None if left is None else round(left),
    }
