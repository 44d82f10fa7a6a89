"""Asking running workers how they are, through Celery's remote control."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from backend_worker.celery_app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_SECONDS = 1.0
_CONNECT_SECONDS = 5


def worker_answers(timeout: float = ANSWER_SECONDS) -> bool:
    """Say whether any worker answers within so many seconds.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    with _connection() as connection:
        return bool(app.control.ping(timeout=timeout, limit=1, connection=connection))


def running_workers() -> list[dict[str, Any]]:
    """Return what each worker that answers tells about itself, by name.

    See :func:`backend_worker.worker.metrics.describe` for the figures.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    with _connection() as connection:
        answers = app.control.broadcast(
            "board",
            reply=True,
            timeout=ANSWER_SECONDS,
            limit=_most_answers(connection),
            connection=connection,
        )
    by_name = {name: figures for answer in answers or [] for name, figures in answer.items()}
    return [
        {"name": name, **figures}
        for name, figures in sorted(by_name.items())
        if "error" not in figures
    ]


@contextmanager
def _connection() -> Iterator[Any]:
    """A connection of our own: one of the pool may be from before Redis was restarted."""
    with app.connection_for_write(connect_timeout=_CONNECT_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, timeout=_CONNECT_SECONDS)
        yield connection


def _most_answers(connection: Any) -> int | None:
    """Return how many workers may answer, so that nobody waits for more; None if unknown.

    Their mailboxes are bound to one exchange. That of a worker that was killed stays bound:
    then the wait ends with the time-out.
    """
    return len(connection.default_channel.get_table(app.control.mailbox.exchange.name)) or None
