"""The Redis connection for everything that is not a Celery message; one per process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend_worker.config import get_config

if TYPE_CHECKING:
    import redis

_CHECK_SECONDS = 5

_client: tuple[int, redis.Redis] | None = None


def check_redis() -> None:
    """Raise at once when Redis is away, without the retries that suit a worker.

    Raises:
        redis.RedisError: Redis does not answer.
    """
    with impatient_client(_CHECK_SECONDS) as client:
        client.ping()


def impatient_client(seconds: float) -> redis.Redis:
    """Return a client of its own that gives up after some seconds, without another try."""
    import redis  # noqa: PLC0415 - as below
    from redis.backoff import NoBackoff  # noqa: PLC0415 - as below
    from redis.retry import Retry  # noqa: PLC0415 - as below

    return redis.Redis.from_url(
        get_config().redis_client_url,
        decode_responses=True,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


def redis_client() -> redis.Redis:
    """Return this process's client; connections are made when first used."""
    global _client  # noqa: PLW0603 - one client per process is the point
    if _client is None or _client[0] != os.getpid():
        import redis  # noqa: PLC0415 - the command line's help must not need it

        config = get_config()
        client = redis.Redis.from_url(
            config.redis_client_url,
            decode_responses=True,
            max_connections=config.redis_pool_limit,
            socket_timeout=config.redis_socket_timeout,
            health_check_interval=config.redis_health_check_interval,
        )
        _client = (os.getpid(), client)
    return _client[1]
