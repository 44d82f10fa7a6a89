"""The autoscaler: sees, decides (worker/scaling.py) and does it, in Celery's event loop.

Everything here runs between two messages, so it must be quick; and what goes wrong here must
not touch the worker, which goes on with the processes that it has.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.worker.autoscale import Autoscaler

from backend_worker.config import MIB, get_config
from backend_worker.progress import events
from backend_worker.progress.connection import impatient_client
from backend_worker.tasks.broker import queue_lengths
from backend_worker.worker import children, scaling
from backend_worker.worker.board import Board
from backend_worker.worker.scaling import Band, Limits, Sight

if TYPE_CHECKING:
    import redis

    from backend_worker.config import Config

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks while there is work or something to take back
IDLE_LOOK_SECONDS = 30.0
REDIS_SECONDS = 0.5  # for which Redis may hold up the event loop
HISTORY_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the number of processes; ``time`` is seconds since the epoch."""

    time: float
    before: int
    after: int
    reason: str


class LibraryAutoscaler(Autoscaler):
    """Set by ``worker_autoscaler``; Celery calls ``maybe_scale``, ``update`` and ``info``.

    Attributes:
        history: the last changes, the oldest first.
        changes: their number since the worker started.
    """

    def __init__(
        self,
        pool: Any,
        max_concurrency: int,
        min_concurrency: int = 1,
        **options: Any,
    ) -> None:
        fewest = max(min_concurrency, 1)
        super().__init__(pool, max_concurrency, fewest, keepalive=IDLE_LOOK_SECONDS, **options)
        config = get_config()
        self.history: deque[Change] = deque(maxlen=HISTORY_LENGTH)
        self.changes = 0
        self.board = Board(config.system_root)
        self._limits = limits_from(config, fewest=fewest, most=max_concurrency)
        self._memory = scaling.Memory(processes=fewest)
        self._heavy_bytes = config.heavy_child_mib * MIB
        self._redis = _Redis()
        self._told_what_is_missing = False
        self._told_step = self._memory.stepped_at  # the last shortage that a line tells of
        self._worked_at = time.monotonic()
        self._all_light = True  # nothing was done since the idle processes were looked at
        # A reconnect clears the loop's timers and makes another qos.
        self._ticking_since_restart: int | None = None
        self._qos: Any = None
        self._withheld = 0

    def maybe_scale(self, req: Any = None) -> None:
        """Look and act; called with each message, and by timers.

        Args:
            req: the message's request; None from a timer.
        """
        if not self._is_running():
            return
        if req is not None and not self._is_urgent():
            return
        try:
            self._look(time.monotonic())
        except Exception:
            logger.exception(
                "autoscale: something went wrong, the number of processes stays as it is; "
                "the next look is in %d s",
                self.keepalive,
            )

    def update(self, max: int | None = None, min: int | None = None) -> tuple[int, int]:  # noqa: A002 - so Celery calls them
        """Set other limits, as the remote control command ``autoscale`` does.

        Raises:
            ValueError: they exclude each other.
        """
        most = self.max_concurrency if max is None else max
        fewest = self.min_concurrency if min is None else min
        if not 1 <= fewest <= most:
            raise ValueError(
                f"autoscale: at least {fewest} and at most {most} processes is not possible; "
                "the first is 1 or more, the second not less"
            )
        with self.mutex:
            consumer = self.worker.consumer
            more = (most - self.max_concurrency) * consumer.prefetch_multiplier
            self._limits = dataclasses.replace(self._limits, fewest=fewest, most=most)
            self.max_concurrency, self.min_concurrency = most, fewest
            consumer.initial_prefetch_count = most * consumer.prefetch_multiplier
            if consumer.qos is not None:
                _change_qos(consumer.qos, more)
        self.maybe_scale()
        return most, fewest

    def info(self) -> dict[str, Any]:
        """Return what ``inspect stats`` shows."""
        last = self.history[-1] if self.history else None
        return {
            **super().info(),
            "bound": self._memory.bound,
            "changes": self.changes,
            "last": last and dataclasses.asdict(last),
        }

    def _is_running(self) -> bool:
        # timers go on while the worker stops
        return bool(self.worker.blueprint.state == bootsteps.RUN and self.pool.active)

    def _is_urgent(self) -> bool:
        """Say whether a message is news: the first one, or one more than can be worked on."""
        most = self._memory.bound or self.max_concurrency
        return not self._is_ticking() or self.processes < min(self.qty, most)

    def _look(self, now: float) -> None:
        board = self.board.observe()
        if not self._told_what_is_missing:
            self._told_what_is_missing = True
            if board.missing():
                logger.info("autoscale does without: %s", ", ".join(board.missing()))
        stuck = self._stuck()
        sight = Sight(
            now=now,
            running=self.processes - stuck,
            reserved=max(self.qty - self._stuck_tasks(), 0),
            waiting=self._waiting(now),
            board=board,
        )
        if sight.demand:
            self._worked_at, self._all_light = now, False
        before = self._memory.processes
        decision = scaling.decide(self._memory, sight, self._limits)
        self._memory = decision.memory
        self._withhold(self.max_concurrency - decision.bound - self._stuck_tasks())
        if decision.processes != before:
            self._tell(before, decision)
        elif decision.held_back and self._told_step != self._memory.stepped_at:
            logger.warning("autoscale stays at %d: %s", before, decision.held_back)
            self._told_step = self._memory.stepped_at
        self._apply(decision.processes + stuck)
        self._renew_heavy_ones(now)
        settled = self.processes <= self.min_concurrency and self._all_light
        if self.qty or not settled or self._memory.bound is not None:
            self._tick_later()

    def _stuck(self) -> int:
        """Return how many processes wait for a folder that hangs: others take their place."""
        hangs = getattr(self.worker, "hangs", None)
        return 0 if hangs is None else min(len(hangs.stuck), self.max_concurrency)

    def _stuck_tasks(self) -> int:
        hangs = getattr(self.worker, "hangs", None)
        return 0 if hangs is None else min(hangs.reserved(), self.max_concurrency)

    def _waiting(self, now: float) -> int:
        # With as many tasks as processes may be, there is nothing to gain; without any for a
        # while, and now with fewer than processes, nothing waits. Nor can the last process go.
        busy_lately = now - self._worked_at < self._limits.idle_seconds
        processes = self.processes - self._stuck()
        taken = self.qty - self._stuck_tasks()
        at_work = processes <= taken or (busy_lately and processes > self._limits.fewest)
        return self._redis.waiting(now) if at_work and taken < self.max_concurrency else 0

    def _apply(self, processes: int) -> None:
        more = processes - self.processes
        if more > 0:
            self.pool.grow(more)
        # Always: the pool counts one that has just ended until it looks again, seconds later.
        self.pool.maintain_pool()
        if more < 0:
            pool = self.pool._pool
            idle = children.idle_children(pool)
            gone = children.shrink(pool, children.heaviest(idle, -more))
            logger.debug("%d of %d idle processes were let go, for %d", gone, len(idle), processes)

    def _renew_heavy_ones(self, now: float) -> None:
        """Replace idle processes that hold much memory, once when the work is over."""
        if (
            self._all_light
            or self.qty
            or self.processes > self._limits.fewest
            or now - self._worked_at < self._limits.idle_seconds
        ):
            return
        self._all_light = True
        pool = self.pool._pool
        for child in children.heavy(children.idle_children(pool), self._heavy_bytes):
            if children.renew(pool, child):
                logger.info(
                    "autoscale: an idle process that held %d MiB is replaced by a fresh one",
                    child.own_bytes // MIB,
                )

    def _withhold(self, count: int) -> None:
        """Take fewer messages at a time, so that a process is free to go soon."""
        consumer = self.worker.consumer
        if consumer.qos is None:
            return
        if consumer.qos is not self._qos:  # a new connection takes as many as at first
            self._qos, self._withheld = consumer.qos, 0
        _change_qos(consumer.qos, (self._withheld - count) * consumer.prefetch_multiplier)
        self._withheld = count

    def _tell(self, before: int, decision: scaling.Decision) -> None:
        change = Change(time.time(), before, decision.processes, decision.reason)
        self.history.append(change)
        self.changes += 1
        logger.log(
            logging.WARNING if decision.shortage else logging.INFO,
            "autoscale %d→%d: %s",
            change.before,
            change.after,
            change.reason,
        )
        self._told_step = self._memory.stepped_at
        self._redis.publish(change)

    def _is_ticking(self) -> bool:
        return bool(self._ticking_since_restart == self.worker.consumer.restart_count)

    def _tick_later(self) -> None:
        if not self._is_ticking():
            self._ticking_since_restart = self.worker.consumer.restart_count
            self.worker.hub.call_later(LOOK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._ticking_since_restart = None
        self.maybe_scale()


class _Redis:
    """A connection that never holds up the event loop for long; after a failure it rests."""

    def __init__(self) -> None:
        self._client: redis.Redis | None = None
        self._rests_until = 0.0

    def waiting(self, now: float) -> int:
        """Return the number of waiting messages, or 0 if Redis does not tell."""
        if now < self._rests_until:
            return 0
        try:
            return sum(queue_lengths(self._connected()).values())
        except Exception as error:
            self._rests_until = time.monotonic() + IDLE_LOOK_SECONDS
            logger.debug("the length of the queues is not known: %s", error)
            return 0

    def publish(self, change: Change) -> None:
        """Send an event to whom it may concern."""
        if time.monotonic() >= self._rests_until:
            details: dict[str, Any] = {
                "from": change.before,
                "to": change.after,
                "reason": change.reason,
            }
            events.publish("worker.scaled", client=self._connected(), **details)

    def _connected(self) -> redis.Redis:
        if self._client is None:
            self._client = impatient_client(REDIS_SECONDS)
        return self._client


def limits_from(config: Config, *, fewest: int, most: int) -> Limits:
    """Return the limits that the settings make; a shortage is over some way below each."""
    return Limits(
        fewest=fewest,
        most=most,
        idle_seconds=config.scale_down_after_seconds,
        memory_percent=Band(config.autoscale_memory_percent, config.autoscale_memory_percent - 15),
        memory_pressure=Band(
            config.autoscale_memory_pressure, config.autoscale_memory_pressure / 4
        ),
        cpu_pressure=Band(config.autoscale_cpu_pressure, config.autoscale_cpu_pressure * 2 / 3),
        cpu_fewest=cpu_fewest(os.cpu_count() or 1),
        temperature_c=Band(config.autoscale_temperature_c, config.autoscale_temperature_c - 5),
        step_seconds=config.autoscale_hold_seconds / 3,
        hold_seconds=config.autoscale_hold_seconds,
    )


def cpu_fewest(cores: int) -> int:
    """Return how many processes cpu pressure leaves on a board with so many cores."""
    return min(cores, max(2, cores - 1))


def _change_qos(qos: Any, more: int) -> None:
    if more > 0:
        qos.increment_eventually(more)
    elif more < 0:
        qos.decrement_eventually(-more)
