"""What the broker holds: waiting messages by queue, and those that workers have taken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from backend_worker.progress.connection import redis_client
from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from collections.abc import Collection

# kombu keeps what was taken and not yet acknowledged in this hash
UNACKED_KEY = "unacked"


def queue_lengths() -> dict[str, int]:
    """Return the number of waiting messages of each queue.

    Raises:
        redis.RedisError: Redis is away.
    """
    pipeline = redis_client().pipeline(transaction=False)
    for name in QUEUE_NAMES:
        pipeline.llen(name)
    return dict(zip(QUEUE_NAMES, pipeline.execute(), strict=True))


def taken_queues() -> list[str]:
    """Return the queue of each message that a worker has taken and not acknowledged.

    Raises:
        redis.RedisError: Redis is away.
    """
    # each value is JSON: the message, its exchange and its routing key (the queue)
    return [json.loads(value)[2] for value in redis_client().hvals(UNACKED_KEY)]


def holds(queues: Collection[str]) -> bool:
    """Say whether any message of these queues waits or is being worked on.

    Raises:
        redis.RedisError: Redis is away.
    """
    lengths = queue_lengths()
    return any(lengths[name] for name in queues) or any(name in queues for name in taken_queues())
