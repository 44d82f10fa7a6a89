"""What the broker holds: waiting messages by queue, and those that workers have taken.

Clients of the earlier system send some messages with a priority; kombu keeps a list of its own
for each step of priority then, and the worker reads them all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kombu.transport.redis import PRIORITY_STEPS, Channel

from backend_worker.progress.connection import redis_client
from backend_worker.queues import QUEUE_NAMES, UNACKED_INDEX_KEY, UNACKED_KEY

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
        for key in _lists(name):
            pipeline.llen(key)
    lengths = iter(pipeline.execute())
    return {name: sum(next(lengths) for _ in PRIORITY_STEPS) for name in QUEUE_NAMES}


def expected_types() -> dict[str, str]:
    """Return the type that each of the broker's keys has, if it is there, as Redis names it."""
    lists = [key for name in QUEUE_NAMES for key in _lists(name)]
    bindings = [f"_kombu.binding.{name}" for name in QUEUE_NAMES]
    return {
        **dict.fromkeys(lists, "list"),
        **dict.fromkeys(bindings, "set"),
        UNACKED_KEY: "hash",
        UNACKED_INDEX_KEY: "zset",
    }


def taken_queues() -> list[str]:
    """Return the queue of each message that a worker has taken and not acknowledged.

    Raises:
        redis.RedisError: Redis is away.
    """
    # each value is JSON: the message, its exchange and its routing key (the queue)
    return [json.loads(value)[2] for value in redis_client().hvals(UNACKED_KEY)]


def held(queues: Collection[str]) -> list[dict[str, Any]]:
    """Return the headers of all messages of these queues that wait or are being worked on.

    What is no message of a task is left out.

    Raises:
        redis.RedisError: Redis is away.
    """
    pipeline = redis_client().pipeline(transaction=False)
    # what was taken comes last: a message that is taken meanwhile is met there
    for name in queues:
        for key in _lists(name):
            pipeline.lrange(key, 0, -1)
    pipeline.hvals(UNACKED_KEY)
    *waiting, taken = pipeline.execute()
    messages = [_read(text) for texts in waiting for text in texts]
    entries = [entry for entry in map(_read, taken) if isinstance(entry, list) and len(entry) == 3]
    messages += [message for message, _, queue in entries if queue in queues]
    return [
        message["headers"]
        for message in messages
        if isinstance(message, dict) and isinstance(message.get("headers"), dict)
    ]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _lists(queue: str) -> list[str]:
    """Return the lists of a queue: its own, and one for each further step of priority."""
    return [f"{queue}{Channel.sep}{step}" if step else queue for step in PRIORITY_STEPS]


def holds(queues: Collection[str]) -> bool:
    """Say whether any message of these queues waits or is being worked on.

    Raises:
        redis.RedisError: Redis is away.
    """
    lengths = queue_lengths()
    return any(lengths[name] for name in queues) or any(name in queues for name in taken_queues())


def at_rest() -> bool:
    """Say whether workers run and none has anything left to do: no message is anywhere.

    A message that Redis has just handed out is in no list until the worker has noted it. But a
    worker asks for the next one only then: all of them wait for a message when none is on its way.
    One look sees all of this in the same moment.

    Raises:
        redis.RedisError: Redis is away.
    """
    client = redis_client()
    pipeline = client.pipeline(transaction=True)
    for name in QUEUE_NAMES:
        for key in _lists(name):
            pipeline.llen(key)
    pipeline.hlen(UNACKED_KEY)
    pipeline.client_list()
    *lengths, connections = pipeline.execute()
    database = str(client.connection_pool.connection_kwargs.get("db", 0))
    ours = [connection for connection in connections if connection["db"] == database]
    # Each worker listens to remote control; who asks it keeps connections that asked, and waits
    # for none.
    workers = sum(connection["psub"] != "0" for connection in ours)
    waiting = sum(each["cmd"] == "brpop" and "b" in each["flags"] for each in ours)
    return not any(lengths) and 0 < workers <= waiting
