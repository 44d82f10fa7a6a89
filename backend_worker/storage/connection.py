"""Connections to PostgreSQL: one for each process and thread, opened when first used.

The worker's processes have one thread that asks; the dashboard has a few.
"""

from __future__ import annotations

import os
import threading
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


class _Current(threading.local):
    """The connection of this thread, and the process that opened it."""

    owner: int | None = None
    connection: psycopg2.extensions.connection | None = None


_current = _Current()
# A power cut may lose the last commits, never part of one: the batches concerned are
# still pending then, and are sent again at the next start.
_options = ["-c synchronous_commit=off", "-c jit=off"]


class DatabaseAwayError(RuntimeError):
    """PostgreSQL cannot be reached; the message says where we looked and what to do."""


class DatabaseUnusableError(RuntimeError):
    """PostgreSQL answers, and refuses whatever we store; the message says why and what to do.

    That is no fault of the batch at hand, and the next one would meet it as well.
    """


LACKS_TABLES = "the database has no tables yet, or older ones: run `backend-worker migrate`"
LACKS_RIGHTS = (
    "the worker may not write to its database ({}): let the worker's role own the database and "
    "its tables, or grant it all rights on them"
)
# By SQLSTATE: what is wrong with the database as a whole, with room for what PostgreSQL says.
_UNUSABLE = {
    "42501": LACKS_RIGHTS,
    "25006": "the database can only be read ({}): it is a standby server, or its setting "
    "default_transaction_read_only is on",
    "42P01": LACKS_TABLES,
    "42703": LACKS_TABLES,  # a column
    "42883": LACKS_TABLES,  # a function
    "42704": LACKS_TABLES,  # a type, an index
    "3F000": LACKS_TABLES,  # a schema
    "58P01": "PostgreSQL lacks a file of its own ({}): install the packages of the extensions "
    "for this version of PostgreSQL",
}


def why_unusable(error: BaseException) -> str | None:
    """Return a sentence if an error says that nothing can be stored at all, else None."""
    sentence = _UNUSABLE.get(getattr(error, "pgcode", None) or "")
    return sentence.format(str(error).strip().partition("\n")[0]) if sentence else None


def explain(error: BaseException) -> str | None:
    """Return a sentence for an error that passes by itself or that an owner can mend, else None."""
    if isinstance(error, DatabaseAwayError | DatabaseUnusableError):
        return str(error)
    if isinstance(error, psycopg2.errors.QueryCanceled):
        return "PostgreSQL took too long to answer: it is busy, ask again later"
    if isinstance(error, RETRYABLE):
        lines = redact(str(error)).strip().splitlines()
        return f"PostgreSQL: {lines[0] if lines else type(error).__name__}"
    return None


def connect(**options: Any) -> psycopg2.extensions.connection:
    """Open a new connection with the configured address.

    Args:
        options: further words of libpq, or others than ours.

    Raises:
        DatabaseAwayError: PostgreSQL does not answer or does not let us in.
    """
    config = get_config()
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(
            config.database_url,
            **{
                "connect_timeout": config.database_connect_timeout,
                "fallback_application_name": "backend-worker",
                "client_encoding": "UTF8",
                **options,
            },
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


def limit_statements(seconds: float) -> None:
    """Let PostgreSQL cancel what takes longer, on connections that this process opens from now.

    A cancelled statement raises ``psycopg2.errors.QueryCanceled``.
    """
    _options.append(f"-c statement_timeout={round(seconds * 1000)}")


def process_connection() -> psycopg2.extensions.connection:
    """Return this thread's connection; a forked child never uses its parent's."""
    connection = _open_connection()
    if connection is None:
        connection = _current.connection = connect(options=" ".join(_options))
        _current.owner = os.getpid()
    return connection


def connection_is_open() -> bool:
    """Say whether this thread has a connection that was not lost."""
    return _open_connection() is not None


def _open_connection() -> psycopg2.extensions.connection | None:
    connection = _current.connection
    if connection is None or _current.owner != os.getpid() or connection.closed:
        return None
    return connection


def one_row(cursor: psycopg2.extensions.cursor) -> tuple[Any, ...]:
    """Return the row that a query gives always, such as that of an aggregate.

    Raises:
        LookupError: it gave none.
    """
    row = cursor.fetchone()
    if row is None:
        raise LookupError("PostgreSQL gave no row where there always is one")
    return row


def close_process_connection() -> None:
    """Close this thread's connection, if it has one."""
    if connection := _open_connection():
        connection.close()
    _current.connection = None


@contextmanager
def transaction() -> Iterator[psycopg2.extensions.cursor]:
    """One transaction on this thread's connection: commit at the end, else roll back.

    Raises:
        DatabaseAwayError: PostgreSQL cannot be reached, or has closed the connection.
        DatabaseUnusableError: it refuses whatever we store.
    """
    connection = process_connection()
    try:
        with connection.cursor() as cursor:
            yield cursor
        _commit(connection)
    except BaseException as error:
        # a lost connection cannot roll back; a new one is opened next time
        try:
            connection.rollback()
        except psycopg2.Error:
            connection.close()
        # After an immediate shutdown psycopg2 raises its base class, without an SQLSTATE, and
        # takes the connection for open.
        if type(error) is psycopg2.DatabaseError and error.pgcode is None:
            connection.close()
            raise DatabaseAwayError(f"PostgreSQL closed the connection: {error}") from error
        sentence = why_unusable(error)
        if sentence is not None:
            raise DatabaseUnusableError(sentence) from error
        raise


def _commit(connection: psycopg2.extensions.connection) -> None:
    """Commit, and close a connection on which that failed.

    At the commit PostgreSQL empties the staging tables, each and its indexes one after the other.
    A query that is cancelled in between leaves them as they are by then, which no rollback
    mends: an index that points into an emptied table fails each later batch of this connection
    ("could not read blocks").
    """
    try:
        connection.commit()
    except psycopg2.Error:
        connection.close()
        raise


@contextmanager
def session_lock(*keys: int) -> Iterator[bool]:
    """Hold an advisory lock beyond transactions; False if another process has it.

    PostgreSQL gives it back when the process dies or loses its connection.

    Args:
        keys: one number, or two, of 32 bits each if they are two.

    Raises:
        DatabaseAwayError: PostgreSQL cannot be reached, or has closed the connection.
    """
    numbers = ", ".join(["%s"] * len(keys))
    try:
        with transaction() as cursor:
            cursor.execute(f"SELECT pg_try_advisory_lock({numbers})", keys)
            mine = one_row(cursor)[0]
    except psycopg2.Error:
        # a query that is cancelled may have taken it, and a rollback does not give it back
        close_process_connection()
        raise
    try:
        yield mine
    finally:
        # a lost connection has given it back already
        if mine and connection_is_open():
            try:
                with transaction() as cursor:
                    cursor.execute(f"SELECT pg_advisory_unlock({numbers})", keys)
            except (psycopg2.Error, DatabaseAwayError):
                close_process_connection()
