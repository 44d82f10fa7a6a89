"""Move the tasks that wait in another Redis into ours; prints how many.

Taken and never acknowledged ones are moved as well: their workers are gone.
"""

import json
import os

import redis

from backend_worker.config import get_config
from backend_worker.queues import QUEUE_NAMES
from backend_worker.tasks.broker import UNACKED_KEY


def main() -> None:
    """Copy each message first, then remove it: an interruption repeats, and loses nothing."""
    old = redis.Redis.from_url(os.environ["OLD_REDIS_URL"])
    new = redis.Redis.from_url(get_config().redis_client_url)
    moved = 0
    for tag, value in old.hgetall(UNACKED_KEY).items():
        message, _exchange, queue = json.loads(value)
        new.rpush(queue, json.dumps(message))  # the right end is served next
        old.hdel(UNACKED_KEY, tag)
        old.zrem("unacked_index", tag)
        moved += 1
    for queue in QUEUE_NAMES:
        while (message := old.lindex(queue, -1)) is not None:
            new.lpush(queue, message)
            old.rpop(queue)
            moved += 1
    print(moved)  # noqa: T201 - the playbook reads it


if __name__ == "__main__":
    main()
