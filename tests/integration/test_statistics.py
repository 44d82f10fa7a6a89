"""The planner's statistics: refreshed when the library has grown, not for each batch."""

import threading

import pytest

from backend_worker.storage import statistics
from backend_worker.storage.connection import close_process_connection, transaction
from tests.support.waiting import WAIT_SECONDS

MANY = 5000  # some 100 pages


@pytest.fixture
def tracks(library):
    def add(first, last):
        with transaction() as cursor:
            cursor.execute(
                "WITH added AS (INSERT INTO file (path, size, mtime_ns, state)"
                "   SELECT ('/m/' || number)::bytea, number, 0, 'stored'"
                "   FROM generate_series(%s, %s) AS number RETURNING id)"
                " INSERT INTO track (id, title, search_text)"
                " SELECT id, repeat('title ', 20), '' FROM added",
                (first, last),
            )

    return add


def known_tracks():
    with transaction() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE oid = 'track'::regclass")
        return cursor.fetchone()[0]


def test_library_that_has_grown_is_looked_at_once(tracks):
    tracks(1, MANY)
    assert statistics.refresh(growth=2)
    assert known_tracks() == MANY
    assert not statistics.refresh(growth=1.25)
    tracks(MANY + 1, 2 * MANY)
    assert not statistics.refresh(growth=4)
    assert statistics.refresh(growth=1.25)
    assert known_tracks() == 2 * MANY


def test_small_library_needs_none(tracks):
    tracks(1, 20)
    assert not statistics.refresh(growth=1.25)


def test_nobody_waits_for_another_that_is_at_it(tracks):
    tracks(1, MANY)
    with transaction() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (statistics.STATISTICS_LOCK,))
        found = []

        def other():
            found.append(statistics.refresh(growth=1.25))
            close_process_connection()

        thread = threading.Thread(target=other)
        thread.start()
        thread.join(WAIT_SECONDS)
    assert found == [False]
