"""Which queue comes next: strictly in the order of the queue table, and yet each in its turn.

kombu asks a "cycle" for the order in which Redis looks into the queues (transport option
``queue_order_strategy``), each time that the worker can take a message.

Where more urgent work never ends, a medium or low queue would starve. So after some seconds
without a message from any low queue the low ones come first, once; the same with medium ones.
No turn while a task of that urgency is at work: slow ones, as those that ask the internet, must
not fill all processes turn by turn. And none before a few others have been served: where tasks
are long, they would take turns one by one.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from kombu.transport.redis import PRIORITY_STEPS, Channel

from backend_worker.config import get_config
from backend_worker.queues import QUEUES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

OTHERS_BETWEEN = 4
_URGENCY = {queue.name: queue.urgency for queue in QUEUES}
_PLACE = {queue.name: place for place, queue in enumerate(QUEUES)}
# stands for what was sent to a more urgent queue with a priority that puts it last
_DEFERRED_BY_SENDER = "\0"


def queues_at_work() -> set[str]:
    """Return the queues from which the tasks come that this worker has taken."""
    state = sys.modules.get("celery.worker.state")  # where it is not loaded there is no worker
    if state is None:
        return set()
    return {request.delivery_info["routing_key"] for request in state.reserved_requests}


class TurnCycle:
    """kombu's interface: ``update``, ``consume`` and ``rotate``.

    Args:
        seconds: after which an urgency gets its turn; from the settings if not given.
        at_work: returns the queues of the tasks that are being worked on.
        clock: returns seconds that never go back.
    """

    def __init__(
        self,
        seconds: Mapping[str, float] | None = None,
        at_work: Callable[[], set[str]] = queues_at_work,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if seconds is None:
            config = get_config()
            seconds = {"low": config.low_turn_seconds, "medium": config.medium_turn_seconds}
        self._turns = {urgency: _Turn(wait, clock()) for urgency, wait in seconds.items()}
        self._at_work = at_work
        self._clock = clock
        self._queues: list[str] = []
        self._offered: str | None = None

    def update(self, it: Iterable[str]) -> None:
        """Take note of the queues that are consumed from."""
        # one that is not in our table comes last
        self._queues = sorted(it, key=lambda name: _PLACE.get(name, len(_PLACE)))
        for urgency, turn in self._turns.items():
            turn.names = [name for name in self._queues if _URGENCY.get(name) == urgency]
        if "low" in self._turns:
            self._turns["low"].names.append(_DEFERRED_BY_SENDER)

    def consume(self, n: int) -> list[str]:
        """Return the keys in which Redis is to look, the first that has a message wins.

        Args:
            n: of queues; all are returned.
        """
        if self._offered:  # and all queues were found empty
            self._turns[self._offered].ended(self._clock())
        self._offered = self._next_turn()
        if self._offered is None:
            return list(self._queues)
        keys = [key for name in self._turns[self._offered].names for key in self._keys(name)]
        return list(dict.fromkeys([*keys, *self._queues]))

    def rotate(self, last_used: str) -> str:
        """Take note of the queue that a message came from."""
        now = self._clock()
        urgency = _URGENCY.get(last_used, "low")
        if self._offered == "low" and urgency != "low":
            self._turns["low"].served(_DEFERRED_BY_SENDER)
        if self._offered:
            self._turns[self._offered].ended(now)
            self._offered = None
        for name, turn in self._turns.items():
            if name == urgency:
                turn.served(last_used)
                turn.ended(now)
            else:
                turn.others += 1
        return last_used

    def _next_turn(self) -> str | None:
        now = self._clock()
        due = [name for name, turn in self._turns.items() if turn.is_due(now)]
        if not due:
            return None
        busy = {_URGENCY.get(queue) for queue in self._at_work()}
        return next((name for name in due if name not in busy), None)

    def _keys(self, name: str) -> list[str]:
        """Return the lists of a queue, of all priorities.

        kombu appends further priorities to these; no such lists exist, and what it strips from
        the answer is the same.
        """
        if name != _DEFERRED_BY_SENDER:
            return [name, *(f"{name}{Channel.sep}{step}" for step in PRIORITY_STEPS if step)]
        more_urgent = [queue for queue in self._queues if _URGENCY.get(queue) in ("high", "medium")]
        return [key for queue in more_urgent for key in self._keys(queue)[1:]]


class _Turn:
    def __init__(self, seconds: float, now: float) -> None:
        self.seconds = seconds
        self.last = now
        self.others = 0  # messages from elsewhere since then
        self.names: list[str] = []

    def is_due(self, now: float) -> bool:
        return (
            bool(self.names) and self.others >= OTHERS_BETWEEN and now - self.last >= self.seconds
        )

    def ended(self, now: float) -> None:
        self.last, self.others = now, 0

    def served(self, name: str) -> None:
        # round and round within an urgency
        if name in self.names:
            self.names.remove(name)
            self.names.append(name)
