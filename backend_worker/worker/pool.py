"""Celery's pool of processes, which neither ends nor loses a task when one dies as Redis goes."""

from __future__ import annotations

import logging
import os
import pickle
import select
import signal
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import billiard.pool
from celery.concurrency.asynpool import AsynPool, ResultHandler

from backend_worker.config import get_config

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
# While a pool stops: between two looks for the results of processes that are still at work.
FLUSH_SECONDS = 0.5
# Within which a process has written a message that it began.
REST_SECONDS = 1.0
# A process that ends waits until each of its results was taken, in billiard 30 s if one was lost.
# Here so much longer than a soft shutdown, in which the worker takes none.
RESULTS_TAKEN_SECONDS = 5.0
LOOK_SECONDS = 10.0
# A process says at once that it takes a task that was written to it.
STUCK_SECONDS = 30.0


class SteadyResultHandler(ResultHandler):
    """Takes results whole, and of a pool that stops without waiting for what will not come."""

    def _make_process_result(self, hub: Any) -> Callable[[int], Any]:
        """Return what takes a result out of a pipe, and lets no signal come in between.

        Celery stops within the handler of the signal. A result that is read but not counted then
        is counted when the handler has returned, which waits for the process to end, which waits
        until the result is counted: for half a minute.
        """
        take = super()._make_process_result(hub)

        def on_result_readable(fd: int) -> Any:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
            try:
                return take(fd)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

        return on_result_readable

    def _flush_outqueue(
        self, fd: int, remove: Any, process_index: dict[int, Any], on_state_change: Any
    ) -> Any:
        """Take one result of a process, or end a process that gives no whole one.

        Celery waits for the rest of half a result, for ever where its process was killed or the
        event loop had begun to read it: a worker that lost Redis did not end then. The task
        whose result is lost was not acknowledged, and is done once more.
        """
        process = process_index.get(fd)
        if process is None:  # it was seen to end, and its results were taken then
            return remove(fd)
        reader = process.outq._reader
        try:
            if not reader.poll(0):
                time.sleep(FLUSH_SECONDS)
                return None
            result = _receive(reader.fileno())
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            kill(process)  # it would wait until its result is taken
            return remove(fd)
        on_state_change(result)
        return None


def _receive(fd: int) -> Any:
    """Return the message that begins in a pipe.

    Raises:
        TimeoutError: its rest does not come.
        EOFError: the pipe was closed before.
        ValueError, pickle.UnpicklingError: this is not the beginning of a message.
    """
    deadline = time.monotonic() + REST_SECONDS
    (size,) = struct.unpack("!i", _read(fd, 4, deadline))  # as billiard.connection writes it
    return pickle.loads(_read(fd, size, deadline))  # noqa: S301 - a process of our own wrote it


def _read(fd: int, size: int, deadline: float) -> bytes:
    if size < 0:
        raise ValueError(f"not a size: {size}")
    parts = b""
    while len(parts) < size:
        ready, _, _ = select.select([fd], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"{len(parts)} of {size} bytes came")
        part = os.read(fd, size - len(parts))
        if not part:
            raise EOFError
        parts += part
    return parts


def kill(process: Any) -> None:
    """Kill a process of the pool, unless it has ended."""
    with suppress(ProcessLookupError):
        if process._is_alive():
            os.kill(process.pid, signal.SIGKILL)


class SteadyPool(AsynPool):
    """Goes on where Celery 5.6.3 stumbles, when processes die just before a reconnect."""

    ResultHandler = SteadyResultHandler

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._written_since: dict[int, float] = {}  # by the number of the job, monotonic seconds
        # billiard has no other way to set it; the processes get it from here by fork
        billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = round(
            (get_config().soft_shutdown_timeout + RESULTS_TAKEN_SECONDS)
            / billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_INTERVAL
        )
        super().__init__(*args, **kwargs)

    def register_with_event_loop(self, hub: Any) -> None:
        """Register the pipes of all processes; called anew after each loss of Redis."""
        self._hub = hub
        super().register_with_event_loop(hub)

    @property
    def timers(self) -> dict[Any, float]:
        """What the event loop calls every so many seconds."""
        return {**super().timers, self._hand_on: LOOK_SECONDS}

    def _hand_on(self) -> None:
        """Replace a process that does not take what was written to it: Celery hands that on.

        Without this the task would wait, and its message stay taken, until the worker stops.
        """
        now = time.monotonic()
        jobs = {
            number: job
            for number, job in self._cache.items()
            if getattr(job, "_write_to", None) and not job._accepted and not job.ready()
        }
        self._written_since = {n: self._written_since.get(n, now) for n in jobs}
        busy = {pid for job in self._cache.values() for pid in job.worker_pids()}
        for number, job in jobs.items():
            process = job._write_to
            if now - self._written_since[number] < STUCK_SECONDS or process.pid in busy:
                continue
            logger.warning("process %d does not take its task: it is replaced", process.pid)
            self._written_since[number] = now
            if process._is_alive():
                kill(process)
            else:
                self.on_job_process_down(job, process.pid)

    def _track_child_process(self, proc: Any, hub: Any) -> None:
        """Watch for the end of a process, unless it was seen and it is about to be replaced.

        Celery ends then: "Unrecoverable error: ValueError('file descriptor is None')".
        """
        if getattr(proc, "_sentinel_poll", True) is not None:
            super()._track_child_process(proc, hub)

    def destroy_queues(self, queues: Any, proc: Any) -> Any:
        """Close the pipes of a process that died at work, and forget their numbers.

        Celery leaves the number in its table. After a reconnect it would listen to whatever has
        that number by then, such as the pipe to another process, whose tasks it then swallows.
        """
        self._untrack_child_process(proc, self._hub)
        for index in (self._fileno_to_outq, self._fileno_to_synq):
            for number in [number for number, owner in index.items() if owner is proc]:
                del index[number]
        return super().destroy_queues(queues, proc)

    @classmethod
    def _help_stuff_finish(cls, pool: Any) -> None:  # type: ignore[override] # as AsynPool's does
        """Empty the pipes of a pool that stops.

        It reads from what its processes read from: one may get half a task. Unhandled, that
        would print a stack trace and leave the rest of the stop undone.
        """
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            super()._help_stuff_finish(pool)
