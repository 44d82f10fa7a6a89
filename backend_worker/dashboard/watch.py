"""Looking at the worker, the queues and the running scan, as often as somebody wants to know."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backend_worker.cli.follow import Rate
from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.workers import Workers
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
FLOWER_SECONDS = 30.0
FLOWER_ANSWER_SECONDS = 0.5
UNKNOWN_BOARD: dict[str, Any] = {
    "memory_bytes": None,
    "memory_high_bytes": None,
    "pss_bytes": None,
    "temperature_c": None,
    "cpu_percent": None,
    "files_per_second": None,
    "scale_events": [],
}


class Remembered:
    """An answer that is asked for anew only when it is older than some seconds.

    Many who ask at the same moment wait for one answer.
    """

    def __init__(self, seconds: float, ask: Callable[[], Awaitable[Any]]) -> None:
        self._seconds = seconds
        self._ask = ask
        self._answer: Any = None
        self._at = float("-inf")
        self._lock = asyncio.Lock()

    async def get(self) -> Any:
        """Return the answer; what asking raises is raised."""
        async with self._lock:
            if time.monotonic() - self._at >= self._seconds:
                self._answer = await self._ask()
                self._at = time.monotonic()
            return self._answer


class Watch:
    """Answers what is going on; while clients listen, it tells them by itself."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._workers = Workers(services.config)
        self._task: asyncio.Task[None] | None = None
        self._rates: dict[int, Rate] = {}
        self.workers = Remembered(BOARD_SECONDS * 0.9, self._ask_workers)
        self.queues = Remembered(BOARD_SECONDS * 0.9, lambda: services.ask(_queues))
        self.totals = Remembered(TOTALS_SECONDS, lambda: services.ask(search.totals))
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
            "board": UNKNOWN_BOARD,
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
            UNKNOWN_BOARD
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
        self._rates = {status.id: self._rates.get(status.id) or Rate() for status in running}
        return [_progress(status, self._rates[status.id]) for status in running]

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


def _queues() -> dict[str, Any]:
    return {"waiting": broker.queue_lengths(), "under_way": len(broker.taken_queues())}


def _running_scans() -> list[ScanStatus]:
    found = (scans.get(scan.id) for scan in scans.active())
    return [status for status in found if status is not None and status.active]


def _progress(status: ScanStatus, measured: Rate) -> dict[str, Any]:
    """Return a running scan's figures, with files a second and the seconds that are left."""
    rate = measured.update(status.found - status.waiting)
    left = status.waiting / rate if status.walk_ended and rate > 0 else None
    return status.as_dict() | {
        "scan": status.id,
        "rate": round(rate, 1),
        "seconds_left": None if left is None else round(left),
        "folder": None,
    }
