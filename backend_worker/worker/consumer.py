"""Celery's consumer, which also says what it does: that it consumes, or waits for Redis."""

from __future__ import annotations

import logging
import time
from typing import Any

from celery.worker import state

from backend_worker.worker.messages import TolerantConsumer
from backend_worker.worker.systemd import notifier

logger = logging.getLogger(__name__)

# Between two tries to reach Redis: growing from the first to the second.
FIRST_PAUSE_SECONDS = 1
LONGEST_PAUSE_SECONDS = 5
SAY_AGAIN_SECONDS = 60.0


class LibraryConsumer(TolerantConsumer):
    """Tells systemd and the log, in one line each, how it stands with Redis."""

    def on_ready(self) -> None:
        """Say that messages are taken, each time that Redis is (again) connected."""
        super().on_ready()
        # Celery has yet to check that its processes started: the loop's first turn comes after
        self.hub.call_soon(notifier().ready)

    def ensure_connected(self, conn: Any) -> Any:
        """Return the connection when it is established, however long that takes.

        The event loop does not turn meanwhile: the watchdog is fed from here, each second.

        Raises:
            SystemExit: the worker was told to stop.
        """
        wait = _Wait(conn.as_uri())
        conn = conn.ensure_connection(
            wait.failed,
            None,
            FIRST_PAUSE_SECONDS,
            1,
            LONGEST_PAUSE_SECONDS,
            callback=wait.goes_on,
        )
        self.first_connection_attempt = False
        self.broker_connection_retry_attempt = 0
        wait.ended()
        return conn


class _Wait:
    """One wait for Redis, in the log and for systemd."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._began: float | None = None
        self._said = 0.0

    def failed(self, error: Exception, _pause: float) -> None:
        """Log that a try has failed: at once, then every minute."""
        now = time.monotonic()
        if self._began is None:
            self._began = self._said = now
            logger.warning("Redis is not available at %s, waiting for it: %s", self._uri, error)
        elif now - self._said >= SAY_AGAIN_SECONDS:
            self._said = now
            minutes = (now - self._began) / 60
            logger.warning("Redis is still not available after %.0f min: %s", minutes, error)

    def goes_on(self) -> None:
        """Say that the worker lives, and stop if it is told to."""
        state.maybe_shutdown()
        notifier().waiting("Redis")

    def ended(self) -> None:
        """Log that Redis is back."""
        if self._began is not None:
            logger.info("Redis is back after %.0f s", time.monotonic() - self._began)
