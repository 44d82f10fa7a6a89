"""PostgreSQL cancels, cuts off, deadlocks, restarts, has no room: the scan ends the same."""

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.storage import scans
from backend_worker.storage.connection import (
    close_process_connection,
    connect,
)
from backend_worker.storage.insert import INSERT_LOCK
from backend_worker.storage.migrations import migrate
from tests.support.disks import Ballast, mounted
from tests.support.disturbance import check, wait_for_stored

ENDED = 20


@pytest.mark.parametrize(
    "what", ["pg_terminate_backend", pytest.param("pg_cancel_backend", marks=pytest.mark.slow)]
)
def test_queries_that_are_ended(library, servers, small_batches, sample, undisturbed, what):
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.1)
    ended = 0

    def enough():
        nonlocal ended
        [(number,)] = library.rows(
            f"SELECT count({what}(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'backend-worker' AND pid <> pg_backend_pid()"
            "   AND state <> 'idle'"
        )
        ended += number
        return ended >= ENDED or not scans.get(scan_id).active

    library.wait_for(enough, what=f"{ENDED} queries that were ended")
    assert ended
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


# Raised by the server itself, in each third insert, ten times.
TROUBLE = """
CREATE SEQUENCE trouble;
CREATE FUNCTION make_trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE number bigint := nextval('trouble');
BEGIN
    IF number %% 3 = 0 AND number <= 30 THEN
        RAISE EXCEPTION 'trouble on purpose' USING ERRCODE = %s;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER trouble AFTER INSERT ON file FOR EACH STATEMENT EXECUTE FUNCTION make_trouble();
"""
NO_TROUBLE = """
DROP TRIGGER IF EXISTS trouble ON file;
DROP FUNCTION IF EXISTS make_trouble;
DROP SEQUENCE IF EXISTS trouble;
"""


@pytest.fixture
def own_connection(servers):
    connection = connect()
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    ["40001", "53100"],
    ids=["serialisation failure", "disk full"],
)
def test_inserts_that_fail_for_a_reason_that_passes(
    library, servers, small_batches, sample, undisturbed, own_connection, code
):
    cursor = own_connection.cursor()
    cursor.execute(TROUBLE, (code,))
    try:
        check(start_scan(sample), undisturbed)
        cursor.execute("SELECT last_value FROM trouble")
        assert cursor.fetchone()[0] > 30
    finally:
        cursor.execute(NO_TROUBLE)


@pytest.mark.slow
def test_deadlock_of_which_an_insert_is_the_victim(
    library, servers, small_batches, sample, undisturbed, own_connection
):
    observer = own_connection.cursor()
    other = connect()
    try:
        scan_id = start_scan(sample)
        wait_for_stored(scan_id, 0.1)
        cursor = other.cursor()
        # only who waits for longer than this looks for a deadlock, and is its victim
        cursor.execute("SET LOCAL deadlock_timeout = '1min'")
        cursor.execute("LOCK TABLE album IN EXCLUSIVE MODE")
        library.wait_for(lambda: waits_for_table(observer), what="an insert that waits for a table")
        # what the insert holds, which by itself waits for us
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (INSERT_LOCK,))
        other.rollback()
        library.wait_for(lambda: deadlocks(observer), what="a deadlock in the statistics")
        check(scan_id, undisturbed)
    finally:
        other.close()


def waits_for_table(cursor):
    cursor.execute("SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT granted")
    return cursor.rowcount


def deadlocks(cursor):
    cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    [(number,)] = cursor.fetchall()
    return number


def stopped(servers):
    close_process_connection()
    servers.postgres.stop()


def test_restarts(library, servers, small_batches, sample, undisturbed):
    scan_id = start_scan(sample)
    for part in (0.2, 0.5):
        wait_for_stored(scan_id, part)
        stopped(servers)
        servers.postgres.start()
    check(scan_id, undisturbed)
    assert small_batches.poll() is None


@pytest.fixture
def small_disk(servers):
    """PostgreSQL on a disk of its own."""
    stopped(servers)
    try:
        with mounted(servers.postgres.folder, "200m") as folder:
            servers.postgres.start()
            connection = connect()
            migrate(connection)
            connection.close()
            yield Ballast(folder)
            stopped(servers)
    finally:
        servers.postgres.start()


def test_full_disk(small_disk, library, servers, small_batches, sample, undisturbed, worker_log):
    """Where there is no room for its log either, PostgreSQL ends, and is started again."""
    scan_id = start_scan(sample)
    wait_for_stored(scan_id, 0.3)
    small_disk.fill()
    library.wait_for(library.tried_again, what="a task that waits")
    small_disk.drop()
    if servers.postgres.process.poll() is not None:
        servers.postgres.start()
    close_process_connection()
    check(scan_id, undisturbed)
    assert small_batches.poll() is None
