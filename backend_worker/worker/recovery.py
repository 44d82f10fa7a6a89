"""At start: give back at once what a predecessor had taken and not finished.

With ``acks_late`` Redis keeps a taken message until it is acknowledged. After a crash kombu
would hand it out again only when the visibility time-out is over, hours later.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import redis.exceptions
from celery import bootsteps
from celery.worker import state
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

PING_SECONDS = 1.0
RETRY_SECONDS = 2.0
_AWAY = (OperationalError, redis.exceptions.RedisError, OSError)


class GiveBackOrphans(bootsteps.StartStopStep):
    """Runs once, after the pool was made and before the first message is taken."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Restore orphaned messages, waiting for Redis if it is away, and resume scans."""
        warned = False
        while True:
            state.maybe_shutdown()
            try:
                give_back_orphans(worker.app)
                worker.app.send_task("maintenance.resume_scans", ignore_result=True)
            except _AWAY as error:
                if not warned:
                    logger.warning("Redis is not available, waiting for it: %s", error)
                    warned = True
                time.sleep(RETRY_SECONDS)
            else:
                return


def give_back_orphans(app: Any) -> int:
    """Put unacknowledged messages back into their queues and return how many.

    Where another worker answers, they may be its own, and nothing is done: kombu's
    visibility time-out serves them then.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    with app.connection_for_read(connect_timeout=5) as connection:
        connection.ensure_connection(max_retries=1, timeout=5)
        channel = connection.default_channel
        orphans = channel.client.hlen(channel.unacked_key)
        if not orphans:
            return 0
        others = app.control.ping(timeout=PING_SECONDS, connection=connection)
        if others:
            logger.info(
                "%d messages are taken and %d other workers run: left to them", orphans, len(others)
            )
            return 0
        # left behind by a predecessor that was killed while it restored messages itself
        channel.client.delete(channel.unacked_mutex_key)
        channel.qos.visibility_timeout = 0
        channel.qos.restore_visible(num=None, interval=1)
    logger.info("%d unfinished tasks of the last run are back in their queues", orphans)
    return orphans
