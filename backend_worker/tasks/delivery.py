"""Counting deliveries, so that what kills its process is found and not tried for ever.

With ``acks_late`` and ``task_reject_on_worker_lost`` a message whose process dies is delivered
again, without end. The count lives in Redis beside the message: if Redis is lost, so is both.

A worker that is stopped, killed or cut off from power takes its processes along whatever they
were reading. So one delivery to each life of a worker is not counted: of several, only the
last can have ended with the worker itself.
"""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backend_worker.progress.connection import redis_client

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEEP_SECONDS = 86400
# One life of a worker: made in the parent and inherited by its processes.
_LIFE = uuid.uuid4().hex
# A message that this many workers did not survive may be what ends them: all counts then.
_MOST_LIVES = 10


def count_delivery(name: str) -> int:
    """Count a delivery; return how many there were, this one included.

    Those that ended with their worker are left out.

    Args:
        name: what is delivered, such as a batch's id.

    Raises:
        redis.RedisError: Redis is away.
    """
    key = _key(name)
    pipeline = redis_client().pipeline(transaction=False)
    pipeline.hincrby(key, _LIFE, 1)
    pipeline.expire(key, _KEEP_SECONDS)
    pipeline.hvals(key)
    counts = [int(count) for count in pipeline.execute()[-1]]
    ended_with_worker = len(counts) - 1
    return sum(counts) - (ended_with_worker if len(counts) <= _MOST_LIVES else 0)


def forget_deliveries(name: str) -> None:
    """Forget the count when what was delivered is dealt with."""
    redis_client().delete(_key(name))


@contextmanager
def counted_delivery(name: str) -> Iterator[int]:
    """Count a delivery and forget all when the block is left.

    An exception leaves it too: a full disk or a database that is away kills no process, and
    the tries that follow must not count. Only a process that dies in the block leaves a trace.
    """
    count = count_delivery(name)
    try:
        yield count
    finally:
        forget_deliveries(name)


def _key(name: str) -> str:
    return f"backend_worker:delivery:{name}"
