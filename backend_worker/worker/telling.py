"""The bootstep that tells systemd and the log, from the event loop, what the worker does."""

from __future__ import annotations

import functools
import logging
import os
import signal
import time
from typing import TYPE_CHECKING, Any

from backend_worker.config import get_config
from backend_worker.worker.hangs import Hangs, end_in_time
from backend_worker.worker.logs import tell_repeats
from backend_worker.worker.metrics import Sample, Sampler, ScanSample
from backend_worker.worker.recovery import resume_scans
from backend_worker.worker.steps import Step
from backend_worker.worker.systemd import EXTENSION_SECONDS, notifier

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

TICK_SECONDS = 2.0
# Without work nothing changes: a look now and then is enough.
IDLE_LOOK_SECONDS = 30.0
PROGRESS_SECONDS = 60.0
# In the time that the watchdog allows for one: the loop may be held up just before the next.
PINGS = 5


class Tell(Step):
    """Feeds the watchdog, sets the status line and logs the progress of scans.

    Its timers live in the event loop: when that hangs, the pings stop.
    """

    requires = (
        "celery.worker.components:Hub",
        "celery.worker.components:Pool",
    )

    _teller: Teller
    _hangs: Hangs

    def __init__(self, worker: Any, **_: Any) -> None:
        self._timer: Any = None
        worker.sampler = worker.hangs = None

    def create(self, worker: Any) -> None:
        """Make what keeps its state over reconnections."""
        worker.sampler = Sampler(worker)
        worker.hangs = self._hangs = Hangs(functools.partial(resume_scans, worker.app))
        self._teller = Teller(worker.sampler)

    def start(self, worker: Any) -> None:
        """Say that the worker stops as soon as it is told to: Celery's signals come later."""
        for number in (signal.SIGTERM, signal.SIGQUIT):
            before = signal.getsignal(number)
            if callable(before):
                signal.signal(number, functools.partial(_stop, worker, before))

    def register_with_event_loop(self, _worker: Any, hub: Any) -> None:
        """Start the timer; called anew after each loss of Redis, which ends all timers."""
        if self._timer is not None:
            self._timer.cancel()
        self._teller.look_soon()
        self._timer = hub.call_repeatedly(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        # What is raised from here would count as loss of the broker, or be logged each time.
        try:
            self._hangs.look()
            self._teller.tick()
            tell_repeats()
        except Exception as error:
            logger.debug("nothing told: %s", error)

    def close(self, _worker: Any) -> None:
        """Say that the worker stops, where no signal did (a shutdown by remote control)."""
        _say_that_it_stops()


def _stop(worker: Any, handler: Callable[[int, Any], Any], number: int, frame: Any) -> None:
    _say_that_it_stops()
    if number == signal.SIGQUIT or os.environ.get("REMAP_SIGTERM") == "SIGQUIT":
        end_in_time(worker)  # without that, SIGTERM lets tasks go on for hours
    handler(number, frame)


def _say_that_it_stops() -> None:
    # running tasks get the soft time-out; then children end and messages go back
    notifier().stopping(get_config().soft_shutdown_timeout + EXTENSION_SECONDS)


class Teller:
    """Decides at each tick what is to be told.

    Args:
        sampler: what looks at the worker.
        clock: the time in seconds, from any start.
    """

    def __init__(self, sampler: Sampler, clock: Callable[[], float] = time.monotonic) -> None:
        self._sampler = sampler
        self._clock = clock
        self._pinged = self._looked = float("-inf")
        self._logged: dict[int, float] = {}  # when a line was last logged of each scan

    def look_soon(self) -> None:
        """Let the next tick look at the worker: something has happened."""
        self._looked = float("-inf")

    def tick(self) -> None:
        """Ping if it is time, and look at the worker if there is work."""
        now = self._clock()
        self._ping(now)
        if self._sampler.has_work() or now - self._looked >= IDLE_LOOK_SECONDS:
            self._looked = now
            sample = self._sampler.sample()
            notifier().status(status_line(sample))
            self._log_progress(sample, now)

    def _ping(self, now: float) -> None:
        service = notifier()
        if not service.consumes:
            service.ready()  # it could not be sent when it was due
        pause = (service.watchdog_seconds or IDLE_LOOK_SECONDS) / PINGS
        if now - self._pinged >= pause - TICK_SECONDS:
            self._pinged = now
            service.ping()

    def _log_progress(self, sample: Sample, now: float) -> None:
        self._logged = {
            scan.figures.scan_id: self._logged.get(scan.figures.scan_id, now)
            for scan in sample.scans
        }
        for scan in sample.scans:
            if now - self._logged[scan.figures.scan_id] >= PROGRESS_SECONDS:
                self._logged[scan.figures.scan_id] = now
                logger.info("%s", progress_line(scan, sample.processes))


def status_line(sample: Sample) -> str:
    """Return the line for ``systemctl status``.

    ``4/4 processes · 1240 queued · 812 files/s · scan 43 %, 1 min left``
    """
    parts = [f"{sample.processes}/{sample.max_processes} processes"]
    if sample.queued is None:
        parts.append("Redis does not answer")
    elif not sample.busy:
        parts.append("idle")
    else:
        parts.append(f"{sample.queued} queued")
    parts += [hang["sentence"] for hang in sample.hangs]
    if sample.scans:
        parts.append(f"{sample.files_per_second:.0f} files/s")
        first, *others = sample.scans
        text = f"scan {_how_far(first)}"
        parts.append(f"{text} (and {len(others)} more)" if others else text)
    return " · ".join(parts)


def progress_line(scan: ScanSample, processes: int) -> str:
    """Return the line that is logged every minute of a scan."""
    line = f"scan {scan.figures.scan_id}: {_how_far(scan)}"
    if scan.figures.walk_ended:
        line += f"; {scan.figures.done:,} of {scan.figures.found:,} files done"
    else:
        line += f", {scan.figures.done:,} done; in {scan.figures.folder}"
    return f"{line}; {scan.files_per_second:.0f} files/s; {processes} processes"


def _how_far(scan: ScanSample) -> str:
    percent = scan.figures.percent
    if percent is None:
        return f"has found {scan.figures.found:,} files so far"
    return f"{percent} %" + (f", {scan.time_left}" if scan.time_left else "")
