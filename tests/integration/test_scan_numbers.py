"""Scans are numbered one after the other, whatever happens to PostgreSQL."""

import contextlib

import psycopg2

from backend_worker.storage import scans


def begin(folder):
    return scans.begin(b"/" + folder.encode(), f"a message for {folder}")


def test_numbers_go_on_after_a_power_cut(library, servers):
    assert begin("one") == 1
    servers.postgres.kill()
    servers.postgres.start()
    with contextlib.suppress(psycopg2.OperationalError):
        scans.of_task("the connection of before is broken")
    assert begin("two") == 2


def test_numbers_go_on_after_a_scan_that_could_not_begin(library):
    begin("one")
    library.rows("SELECT nextval(pg_get_serial_sequence('scan', 'id'))")
    assert begin("two") == 2


def test_a_library_that_has_jumped_goes_on_from_there(library):
    begin("one")
    library.rows(
        "INSERT INTO scan (id, root, task_id, status) OVERRIDING SYSTEM VALUE"
        " VALUES (35, '/music', 'jumped', 'completed') RETURNING id"
    )
    assert begin("three") == 36
