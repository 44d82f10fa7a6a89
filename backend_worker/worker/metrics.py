"""What the worker's parent process knows about the worker.

A sampler looks at queues and scans every few seconds while there is work; the remote-control
command ``board`` puts that together with what the processes use, and costs nothing while
nobody asks.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from celery.worker import state as celery_state
from celery.worker.control import inspect_command

from backend_worker.progress import figures
from backend_worker.progress.connection import impatient_client
from backend_worker.progress.rate import Rate, time_left
from backend_worker.tasks import broker
from backend_worker.worker.usage import tree_usage

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

# Redis is asked from within the event loop: rather no answer than a late one.
REDIS_SECONDS = 0.5
REST_SECONDS = 10.0  # after it did not answer
# Batches end in bursts; the rate is that of several.
RATE_SECONDS = 20.0
SCALE_EVENTS_TOLD = 20
# of worker/board.py
BOARD_FIGURES = (
    "memory_bytes",
    "memory_high_bytes",
    "memory_of",
    "memory_pressure",
    "cpu_pressure",
    "temperature_c",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSample:
    """A running scan at one moment."""

    figures: figures.Figures
    files_per_second: float

    @property
    def time_left(self) -> str | None:
        """Such as ``3 min left``; None while the walk goes on."""
        if not self.figures.walk_ended:
            return None
        return time_left(self.figures.waiting, self.files_per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The worker at one moment."""

    processes: int
    max_processes: int
    reserved: int  # tasks that this worker has taken
    active: int  # those of them that run
    queued: int | None  # tasks that wait, here or in Redis; None while Redis does not answer
    scans: tuple[ScanSample, ...] = ()
    hangs: tuple[dict[str, Any], ...] = ()  # folders that do not answer; see Hangs.describe

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.reserved or self.queued or self.scans)

    @property
    def files_per_second(self) -> float:
        """Files that all running scans deal with in a second."""
        return sum(scan.files_per_second for scan in self.scans)


class Sampler:
    """Takes samples; one for a worker's whole life, since rates come from several.

    Args:
        worker: Celery's ``WorkController``.
        clock: the time in seconds, from any start.
    """

    def __init__(self, worker: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._worker = worker
        self._clock = clock
        self._client = impatient_client(REDIS_SECONDS)
        self._rates: dict[int, Rate] = {}
        self._rests_until = float("-inf")
        self.last: Sample | None = None

    def has_work(self) -> bool:
        """Say, without asking anybody, whether there is likely to be work."""
        return bool(celery_state.reserved_requests or (self.last is not None and self.last.busy))

    def sample(self) -> Sample:
        """Look at the processes, the queues and the scans; never raises for want of Redis."""
        queued, running = self._ask_redis()
        reserved = len(celery_state.reserved_requests)
        active = len(celery_state.active_requests)
        hangs = getattr(self._worker, "hangs", None)
        self._rates = {
            scan.scan_id: self._rates.get(scan.scan_id) or Rate(RATE_SECONDS, self._clock)
            for scan in running
        }
        self.last = Sample(
            processes=self._worker.pool.num_processes,
            max_processes=process_limits(self._worker)[1],
            reserved=reserved,
            active=active,
            queued=None if queued is None else queued + max(reserved - active, 0),
            scans=tuple(
                ScanSample(
                    figures=scan, files_per_second=self._rates[scan.scan_id].update(scan.done)
                )
                for scan in running
            ),
            hangs=tuple(hangs.describe()) if hangs is not None else (),
        )
        return self.last

    def _ask_redis(self) -> tuple[int | None, list[figures.Figures]]:
        if self._clock() < self._rests_until:
            return None, []
        try:
            queued = sum(broker.queue_lengths(self._client).values())
            return queued, figures.running(self._client)
        except Exception as error:
            self._rests_until = self._clock() + REST_SECONDS
            logger.debug("queues and scans not looked at: %s", error)
            return None, []


def process_limits(worker: Any) -> tuple[int, int]:
    """Return the fewest and the most processes that a worker may have."""
    autoscaler = getattr(worker, "autoscaler", None)
    if autoscaler is None:
        return worker.concurrency, worker.concurrency
    return autoscaler.min_concurrency, autoscaler.max_concurrency


def board(state: Any, **_: Any) -> dict[str, Any]:
    """Processes, memory, processor time, files per second and scale events of the worker."""
    return describe(state.consumer.controller)


inspect_command(name="board")(board)


def describe(worker: Any) -> dict[str, Any]:
    """Return all that is known about a worker as JSON-able data; units are in the names.

    What this machine does not tell is None.
    """
    sample = worker.sampler.sample()
    fewest, most = process_limits(worker)
    return {
        "version": version("backend-worker"),
        "pid": os.getpid(),
        "uptime_seconds": worker.info()["uptime"],
        "processes": sample.processes,
        "min_processes": fewest,
        "max_processes": most,
        "busy_processes": min(sample.active, sample.processes),
        "reserved_tasks": sample.reserved,
        "tasks_done": sum(celery_state.total_count.values()),
        "files_per_second": round(sample.files_per_second, 1),
        "hanging_folders": list(sample.hangs),
        "scans": [_describe_scan(scan) for scan in sample.scans],
        **_usage(),
        **_board(worker),
        **_scaling(worker),
    }


def _describe_scan(scan: ScanSample) -> dict[str, Any]:
    return {
        **asdict(scan.figures),
        "waiting": scan.figures.waiting,
        "percent": scan.figures.percent,
        "files_per_second": round(scan.files_per_second, 1),
        "time_left": scan.time_left,
    }


def _usage() -> dict[str, Any]:
    try:
        usage = tree_usage(os.getpid())
    except (OSError, KeyError) as error:
        logger.debug("memory and processor time are not known: %s", error)
        return {"cpu_seconds": None, "pss_bytes": None}
    return {"cpu_seconds": round(usage.cpu_seconds, 2), "pss_bytes": usage.pss}


def _board(worker: Any) -> dict[str, Any]:
    board = getattr(getattr(worker, "autoscaler", None), "board", None)
    state = board.observe() if board is not None else None
    return {name: getattr(state, name, None) for name in BOARD_FIGURES}


def _scaling(worker: Any) -> dict[str, Any]:
    autoscaler = getattr(worker, "autoscaler", None)
    history = list(getattr(autoscaler, "history", ()))[-SCALE_EVENTS_TOLD:]
    return {
        "scale_changes": getattr(autoscaler, "changes", 0),
        "scale_history": [asdict(change) for change in history],
    }
