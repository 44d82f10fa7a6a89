"""What the broker holds: waiting messages by queue, and those that workers have taken.

Clients of the earlier system send some messages with a priority; kombu keeps a list of its own
for each step of priority then, and the worker reads them all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kombu.transport.redis import PRIORITY_STEPS, Channel

from backend_worker.progress.connection import redis_client
from backend_worker.queues import QUEUE_NAMES, UNACKED_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    import redis


def queue_lengths(client: redis.Redis | None = None) -> dict[str, int]:
    """Return the number of waiting messages of each queue, whatever priority they were sent with.

    Args:
        client: instead of this process's own, whose time-outs are long.

    Raises:
        redis.RedisError: Redis is away.
    """
    pipeline = (client or redis_client()).pipeline(transaction=False)
    for name in QUEUE_NAMES:
        for step in PRIORITY_STEPS:
            pipeline.llen(f"{name}{Channel.sep}{step}" if step else name)
    lengths = iter(pipeline.execute())
    return {name: sum(next(lengths) for _ in PRIORITY_STEPS) for name in QUEUE_NAMES}


def expected_types() -> dict[str, str]:
    """Return the type that each of the broker's keys has, if it is there, as Redis names it."""
    lists = [
        f"{name}{Channel.sep}{step}" if step else name
        for name in QUEUE_NAMES
        for step in PRIORITY_STEPS
    ]
    bindings = [f"_kombu.binding.{name}" for name in QUEUE_NAMES]
    return {
        **dict.fromkeys(lists, "list"),
        **dict.fromkeys(bindings, "set"),
        UNACKED_KEY: "hash",
        Channel.unacked_index_key: "zset",
    }


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
