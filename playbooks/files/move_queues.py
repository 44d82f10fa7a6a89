"""Move the tasks that wait in another Redis into ours; prints how many.

Taken and never acknowledged ones are moved as well: their workers are gone.
"""

import json
import os

import redis
from kombu.transport.redis import PRIORITY_STEPS, Channel

from backend_worker.config import get_config
from backend_worker.queues import QUEUE_NAMES, TASK_QUEUE

# where kombu keeps what was taken, unless it is told otherwise, and when that was
UNACKED_KEY = "unacked"
UNACKED_INDEX = "unacked_index"


def main() -> None:
    """Copy each message first, then remove it: an interruption repeats, and loses nothing.

    Messages of queues that are not ours stay where they are.

    Raises:
        redis.RedisError: One of the two is away; a second run goes on.
    """
    old = redis.Redis.from_url(os.environ["OLD_REDIS_URL"])
    new = redis.Redis.from_url(get_config().redis_client_url)
    moved = _move_taken(old, new)
    for queue in QUEUE_NAMES:
        for step in PRIORITY_STEPS:
            # a list of its own for each step of priority; 0 is the queue's own name
            moved += _move_list(old, new, f"{queue}{Channel.sep}{step}" if step else queue)
    print(moved)  # noqa: T201 - the playbook reads it


def _move_taken(old: redis.Redis, new: redis.Redis) -> int:
    moved = 0
    for tag, value in old.hgetall(UNACKED_KEY).items():
        message, _exchange, routing_key = json.loads(value)
        queue = TASK_QUEUE.get(message["headers"].get("task"), routing_key)
        if queue in QUEUE_NAMES:
            new.rpush(queue, json.dumps(message))  # the right end is served next
            old.hdel(UNACKED_KEY, tag)
            old.zrem(UNACKED_INDEX, tag)
            moved += 1
    return moved


def _move_list(old: redis.Redis, new: redis.Redis, key: str) -> int:
    moved = 0
    while (message := old.lindex(key, -1)) is not None:
        new.lpush(key, message)
        old.rpop(key)
        moved += 1
    return moved


if __name__ == "__main__":
    main()
