"""A remote service as all processes of all workers share it: its rate, pauses and misses."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Self, TypeVar

from backend_worker.config import get_config
from backend_worker.library.remote import RemoteAway, UnusableAnswer
from backend_worker.progress.connection import redis_client
from backend_worker.storage import artwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from backend_worker.library.remote.client import RemoteClient

Answer = TypeVar("Answer")

logger = logging.getLogger(__name__)

DAY_SECONDS = 86400
# After an answer that was of no use; doubled with each further one.
FIRST_RETRY_SECONDS = 3600


class SharedService:
    """One service; use it as a context manager. Nothing is connected until it is asked.

    Args:
        name: as in the table of remembered lookups.
        base_url: its address.
        title: its name as people write it, for the log.
    """

    def __init__(self, name: str, base_url: str, title: str) -> None:
        self.name = name
        self.away = False
        self._base_url = base_url
        self._title = title
        self._client: RemoteClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def ask(self, key: str, request: Callable[[RemoteClient], Answer | None]) -> Answer | None:
        """Ask the service, unless it is paused or the answer is remembered.

        What it does not have is asked for again after ``missing_cover_days``. When it is
        away, nobody asks it anything for ``offline_pause_seconds`` (or as long as it says),
        and ``away`` is true.

        Args:
            key: what is asked for, unique within the service.
            request: asks with the client that it is given.
        """
        if self.away or not artwork.may_ask(self.name, artwork.EVERYTHING):
            self.away = True
            return None
        if not artwork.may_ask(self.name, key):
            return None
        try:
            answer = request(self._connected())
        except RemoteAway as error:
            self._pause(error)
            return None
        except UnusableAnswer as error:
            self.remember_failure(key, str(error))
            return None
        if answer is None:
            self.remember_miss(key)
        return answer

    def remember_miss(self, key: str) -> None:
        """Remember that the service does not have this."""
        seconds = get_config().missing_cover_days * DAY_SECONDS
        artwork.remember(self.name, key, "not found", seconds)

    def remember_failure(self, key: str, reason: str) -> None:
        """Remember an answer of no use; the pause doubles with each."""
        logger.info("%s, %s: %s", self._title, key, reason, extra={"reason": reason})
        longest = get_config().missing_cover_days * DAY_SECONDS
        artwork.remember(self.name, key, reason, FIRST_RETRY_SECONDS, longest)

    def take_turn(self) -> None:
        """Wait until a request may be sent: one in ``remote_interval_seconds`` for everybody.

        Raises:
            redis.RedisError: Redis is away; without it nobody knows whose turn it is.
        """
        key = f"backend_worker:turn:{self.name}"
        milliseconds = max(int(get_config().remote_interval_seconds * 1000), 1)
        client = redis_client()
        while not client.set(key, "1", nx=True, px=milliseconds):
            time.sleep(max(client.pttl(key), 5) / 1000)

    def _connected(self) -> RemoteClient:
        if self._client is None:
            # httpx costs memory in each process: only those that ask import it
            from backend_worker.library.remote.client import RemoteClient  # noqa: PLC0415 - as said above

            self._client = RemoteClient(
                self._base_url, user_agent=get_config().user_agent, throttle=self.take_turn
            )
        return self._client

    def _pause(self, error: RemoteAway) -> None:
        self.away = True
        seconds = error.retry_after or get_config().offline_pause_seconds
        artwork.remember(self.name, artwork.EVERYTHING, str(error), seconds)
        logger.warning("%s is not asked for the next %.0f s: %s", self._title, seconds, error)
