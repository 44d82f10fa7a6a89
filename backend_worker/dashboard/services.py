"""What the endpoints share: threads that ask PostgreSQL, events, and who watches the worker."""

from __future__ import annotations

import asyncio
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import kombu.exceptions
import redis.exceptions

from backend_worker.config import Config, redact
from backend_worker.dashboard.actions import Actions
from backend_worker.dashboard.errors import Refusal
from backend_worker.dashboard.stream import Hub
from backend_worker.dashboard.watch import Watch
from backend_worker.storage import connection

if TYPE_CHECKING:
    from collections.abc import Callable

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

# Connections to PostgreSQL, which on a Pi lets 20 in. A question takes milliseconds.
THREADS = 2
MOST_WAITING = 64


class Services:
    """Made once for each server; :meth:`close` gives everything back."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.hub = Hub(config)
        self.actions = Actions()
        self.watch = Watch(self)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="ask")
        self._waiting = 0

    async def ask(self, function: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
        """Run a function that asks PostgreSQL or Redis in one of the threads.

        Raises:
            Refusal: the server is away, or too many ask at once; with a sentence.
        """
        if self._waiting >= MOST_WAITING:
            raise Refusal(503, "too many questions at once: ask again in a moment")
        self._waiting += 1
        call = functools.partial(_patiently, functools.partial(function, *args, **kwargs))
        try:
            answer = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except Exception as error:
            sentence = self.explain(error)
            if sentence is None:
                raise
            raise Refusal(503, sentence) from error
        finally:
            self._waiting -= 1
        return answer

    def explain(self, error: Exception) -> str | None:
        """Return a sentence for a server that is away, None for any other error."""
        if isinstance(error, (redis.exceptions.RedisError, kombu.exceptions.OperationalError)):
            where = redact(self.config.redis_url)
            return f"Redis is not available at {where}: {redact(str(error))}"
        return connection.explain(error)

    def close(self) -> None:
        """End the threads; their connections close with them."""
        self.watch.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _patiently(function: Callable[[], Answer]) -> Answer:
    """Ask, and once more on a new connection if the server has closed this one."""
    try:
        return function()
    except (*connection.RETRYABLE, connection.DatabaseAwayError):
        if connection.connection_is_open():
            raise
        return function()
