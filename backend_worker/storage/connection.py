"""Connections to PostgreSQL: one per process, opened when first used."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
import psycopg2.errors
import psycopg2.extensions

from backend_worker.config import get_config, redact

if TYPE_CHECKING:
    from collections.abc import Iterator

# What is worth trying again: the server is away, or chose our transaction as the victim.
RETRYABLE = (
    psycopg2.OperationalError,  # includes deadlocks, serialisation failures, cancelled queries
    psycopg2.InterfaceError,
)

# Among them what no other try will change: a row or a statement that is too large.
PERMANENT = (psycopg2.errors.ProgramLimitExceeded, psycopg2.errors.StatementTooComplex)

_current: tuple[int, psycopg2.extensions.connection] | None = None


class DatabaseAwayError(RuntimeError):
    """PostgreSQL cannot be reached; the message says where we looked and what to do."""


def connect(**options: Any) -> psycopg2.extensions.connection:
    """Open a new connection with the configured address.

    Raises:
        DatabaseAwayError: PostgreSQL does not answer or does not let us in.
    """
    config = get_config()
    try:
        connection = psycopg2.connect(
            config.database_url,
            connect_timeout=config.database_connect_timeout,
            fallback_application_name="backend-worker",
            client_encoding="UTF8",
            **options,
        )
    except psycopg2.OperationalError as error:
        detail = redact(str(error)).strip().splitlines()
        raise DatabaseAwayError(
            f"PostgreSQL is not available at {redact(config.database_url)}: "
            f"{detail[0] if detail else 'no reason given'}. "
            "Is it running? `backend-worker doctor` checks."
        ) from error
    connection.autocommit = False
    return connection


def process_connection() -> psycopg2.extensions.connection:
    """Return this process's connection; a forked child never uses its parent's."""
    global _current  # noqa: PLW0603 - one connection per process is the point
    if _current is not None:
        owner, connection = _current
        if owner == os.getpid() and not connection.closed:
            return connection
    # A power cut may lose the last commits, never part of one: the batches concerned are
    # still pending then, and are sent again at the next start.
    connection = connect(options="-c synchronous_commit=off -c jit=off")
    _current = (os.getpid(), connection)
    return connection


def connection_is_open() -> bool:
    """Say whether this process has a connection that was not lost."""
    return _current is not None and _current[0] == os.getpid() and not _current[1].closed


def close_process_connection() -> None:
    """Close this process's connection, if it has one."""
    global _current  # noqa: PLW0603
    if _current is not None and _current[0] == os.getpid():
        _current[1].close()
    _current = None


@contextmanager
def transaction() -> Iterator[psycopg2.extensions.cursor]:
    """One transaction on this process's connection: commit at the end, else roll back.

    Raises:
        DatabaseAwayError: PostgreSQL cannot be reached.
    """
    connection = process_connection()
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except BaseException:
        # a lost connection cannot roll back; a new one is opened next time
        try:
            connection.rollback()
        except psycopg2.Error:
            connection.close()
        raise
