"""What a process does with its connection to PostgreSQL when something goes wrong on it."""

import psycopg2.errors
import pytest

from backend_worker.storage.connection import (
    close_process_connection,
    connect,
    connection_is_open,
    session_lock,
    transaction,
)

LOCK = 4711

# Raised at the commit, as a query is that is cancelled there.
LATE_TROUBLE = """
CREATE TABLE trouble (id integer);
CREATE FUNCTION make_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trouble on purpose' USING ERRCODE = 'query_canceled';
END $$;
CREATE CONSTRAINT TRIGGER trouble AFTER INSERT ON trouble
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION make_trouble();
"""
# In place of PostgreSQL's own: cancelled when the work is done.
LOCK_TROUBLE = """
CREATE SCHEMA trouble;
CREATE FUNCTION trouble.pg_try_advisory_lock(key integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_try_advisory_lock(key);
    RAISE EXCEPTION 'trouble on purpose' USING ERRCODE = 'query_canceled';
END $$;
"""
# Cancelled before it.
UNLOCK_TROUBLE = """
CREATE SCHEMA trouble;
CREATE FUNCTION trouble.pg_advisory_unlock(key integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'trouble on purpose' USING ERRCODE = 'query_canceled';
END $$;
"""


@pytest.fixture
def observer(servers):
    """Another connection."""
    connection = connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
        cursor.execute("DROP TABLE IF EXISTS trouble; DROP FUNCTION IF EXISTS make_trouble")
        cursor.execute("DROP SCHEMA IF EXISTS trouble CASCADE")
    connection.close()
    close_process_connection()


def lock_is_free(cursor):
    """Say whether nobody holds the lock; a closed connection gives it back a moment later."""
    cursor.execute("SET lock_timeout = '5s'; SELECT pg_advisory_lock(%s)", (LOCK,))
    cursor.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    return cursor.fetchone()[0]


def test_connection_on_which_a_commit_failed_is_not_used_again(observer):
    """PostgreSQL may have emptied the staging tables and not their indexes."""
    observer.execute(LATE_TROUBLE)
    with pytest.raises(psycopg2.errors.QueryCanceled), transaction() as cursor:
        cursor.execute("INSERT INTO trouble VALUES (1)")
    assert not connection_is_open()


def test_connection_on_which_a_query_failed_goes_on(observer):
    with transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    with pytest.raises(psycopg2.errors.DivisionByZero), transaction() as cursor:
        cursor.execute("SELECT 1 / 0")
    with transaction() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == (pid,)


def test_lock_is_one_process_s_until_it_is_left(observer):
    with session_lock(LOCK) as mine:
        assert mine
        observer.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,))
        assert observer.fetchone() == (False,)
    assert lock_is_free(observer)


def test_lock_that_another_process_has_is_not_ours_and_not_given_back(observer):
    observer.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
    with session_lock(LOCK) as mine:
        assert not mine
    observer.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
    assert observer.fetchone() == (True,)


def test_lock_that_was_taken_by_a_cancelled_query_is_given_back(observer):
    observer.execute(LOCK_TROUBLE)
    with transaction() as cursor:
        cursor.execute("SET search_path = trouble, pg_catalog")
    with pytest.raises(psycopg2.errors.QueryCanceled), session_lock(LOCK):
        pass
    assert lock_is_free(observer)
    with session_lock(LOCK) as mine:
        assert mine


def test_lock_is_given_back_although_the_query_for_it_is_cancelled(observer):
    observer.execute(UNLOCK_TROUBLE)
    with transaction() as cursor:
        cursor.execute("SET search_path = trouble, pg_catalog")
    with session_lock(LOCK) as mine:
        assert mine
    assert lock_is_free(observer)
