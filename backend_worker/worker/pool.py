"""Celery's pool of processes, which neither ends nor loses a task when one dies as Redis goes."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import time
from contextlib import suppress
from typing import Any

from billiard.compat import setblocking
from celery.concurrency.asynpool import AsynPool, ResultHandler

logger = logging.getLogger(__name__)

# While a pool stops: between two looks for the results of processes that are still at work.
FLUSH_SECONDS = 0.5
LOOK_SECONDS = 10.0
# A process says at once that it takes a task that was written to it.
STUCK_SECONDS = 30.0


class SteadyResultHandler(ResultHandler):
    """Takes the last results of a pool that stops, without waiting for what will not come."""

    def _flush_outqueue(
        self, fd: int, remove: Any, process_index: dict[int, Any], on_state_change: Any
    ) -> Any:
        """Take a result of one process if a whole one is there.

        Celery waits for the rest of half a result, for ever where its process was killed or the
        event loop had begun to read it: a worker that lost Redis did not end then. The task
        whose result is lost was not acknowledged, and is done once more.
        """
        process = process_index.get(fd)
        if process is None:  # it was seen to end, and its results were taken then
            return remove(fd)
        reader = process.outq._reader
        try:
            setblocking(reader, 0)
            result = reader.recv() if reader.poll(0) else None
        except (OSError, EOFError, pickle.UnpicklingError):
            return remove(fd)
        if result:
            on_state_change(result)
        else:
            time.sleep(FLUSH_SECONDS)
        return None


class SteadyPool(AsynPool):
    """Goes on where Celery 5.6.3 stumbles, when processes die just before a reconnect."""

    ResultHandler = SteadyResultHandler

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._written_since: dict[int, float] = {}  # by the number of the job, monotonic seconds
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
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
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
    def _help_stuff_finish(cls, pool: Any) -> None:
        """Empty the pipes of a pool that stops.

        It reads from what its processes read from: one may get half a task. Unhandled, that
        would print a stack trace and leave the rest of the stop undone.
        """
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            super()._help_stuff_finish(pool)
