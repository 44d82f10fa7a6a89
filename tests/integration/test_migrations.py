"""Migrations: from nothing, again, two at once, and what is refused."""

import threading

import psycopg2
import pytest

from backend_worker import cli
from backend_worker.config import get_config
from backend_worker.storage import migrations
from backend_worker.storage.connection import connect
from backend_worker.storage.migrations import Migration, MigrationError, migrate, pending
from tests.support.waiting import WAIT_SECONDS

NAME = "migrations"


@pytest.fixture
def database(servers):
    """The name of an empty database."""
    administrator = connect()
    administrator.autocommit = True
    with administrator.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {NAME}")
        yield NAME
        cursor.execute(f"DROP DATABASE {NAME} WITH (FORCE)")
    administrator.close()


@pytest.fixture
def connection(database):
    opened = connect(dbname=database)
    yield opened
    opened.close()


def tables(connection):
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return {row[0] for row in cursor}


def recorded(connection):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version, name, checksum, applied_at FROM schema_migration ORDER BY 1"
        )
        return cursor.fetchall()


def change(connection, statement, *parameters):
    connection.rollback()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def test_empty_database_gets_all_tables(connection):
    assert pending(connection) == migrations.available()
    connection.rollback()
    assert migrate(connection) == migrations.available()
    assert {"file", "track", "album", "artist", "scan", "track_vector_cosine"} <= tables(connection)
    assert [row[:3] for row in recorded(connection)] == [
        (migration.version, migration.name, migration.checksum)
        for migration in migrations.available()
    ]
    assert pending(connection) == []


def test_second_time_does_nothing(connection):
    migrate(connection)
    before = (tables(connection), recorded(connection))
    assert migrate(connection) == []
    assert (tables(connection), recorded(connection)) == before


def test_looking_for_what_is_missing_changes_nothing(connection):
    pending(connection)
    connection.commit()
    assert tables(connection) == set()


def test_two_at_once_apply_each_migration_once(database):
    results = []
    barrier = threading.Barrier(4)

    def run():
        own = connect(dbname=database)
        barrier.wait(WAIT_SECONDS)
        try:
            results.append(migrate(own))
        except Exception as error:
            results.append(error)
        own.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_SECONDS)
    assert sorted(results, key=len) == [[], [], [], migrations.available()]


def test_changed_migration_is_refused(connection):
    migrate(connection)
    change(connection, "UPDATE schema_migration SET checksum = 'another' WHERE version = 1")
    sentence = "migration 0001_library was changed after it was applied"
    with pytest.raises(MigrationError, match=sentence):
        migrate(connection)
    with pytest.raises(MigrationError, match=sentence):
        pending(connection)


def test_newer_database_is_refused(connection):
    migrate(connection)
    change(connection, "INSERT INTO schema_migration VALUES (9999, 'future', 'x')")
    newest = migrations.available()[-1].version
    with pytest.raises(
        MigrationError, match=rf"is at migration 9999, this program only knows {newest}: install"
    ):
        migrate(connection)


def test_refusal_gives_the_lock_back(connection, database):
    migrate(connection)
    change(connection, "INSERT INTO schema_migration VALUES (9999, 'future', 'x')")
    with pytest.raises(MigrationError):
        migrate(connection)
    change(connection, "DELETE FROM schema_migration WHERE version = 9999")
    other = connect(dbname=database)
    change(other, "SET lock_timeout = '5s'")
    assert migrate(other) == []
    other.close()


def test_migration_that_fails_is_not_half_applied(connection, monkeypatch):
    ours = migrations.available()
    bad = Migration(9998, "bad", "CREATE TABLE half (); SELECT 1 / 0;")
    never = Migration(9999, "never", "CREATE TABLE never ()")
    monkeypatch.setattr(migrations, "available", lambda: [*ours, bad, never])
    with pytest.raises(psycopg2.errors.DivisionByZero):
        migrate(connection)
    assert not {"half", "never"} & tables(connection)
    assert [row[0] for row in recorded(connection)] == [migration.version for migration in ours]
    good = Migration(9998, "good", "CREATE TABLE whole ();")
    monkeypatch.setattr(migrations, "available", lambda: [*ours, good, never])
    assert migrate(connection) == [good, never]
    assert {"whole", "never"} <= tables(connection)


def test_command_line_migrates_and_shows_a_refusal_as_a_sentence(
    connection, database, monkeypatch, capsys
):
    url = get_config().database_url.replace("dbname=library", f"dbname={database}")
    monkeypatch.setenv("BACKEND_WORKER_DATABASE_URL", url)
    get_config.cache_clear()
    try:
        assert cli.main(["migrate"]) == 0
        assert "applied: 0001_library" in capsys.readouterr().out
        assert cli.main(["migrate"]) == 0
        assert "up to date" in capsys.readouterr().out
        change(connection, "INSERT INTO schema_migration VALUES (9999, 'future', 'x')")
        assert cli.main(["migrate"]) == 1
        assert "backend-worker: the database is at migration 9999" in capsys.readouterr().err
    finally:
        monkeypatch.undo()
        get_config.cache_clear()
