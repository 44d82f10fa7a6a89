"""Plain SQL files, applied in order, each in its own transaction, under one lock."""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend_worker.storage.connection import one_row

if TYPE_CHECKING:
    import psycopg2.extensions

# Any fixed number: two workers that start together must not migrate together.
MIGRATION_LOCK = 7_203_411


class MigrationError(RuntimeError):
    """The database and this version's migrations do not fit together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file ``NNNN_name.sql``."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text: an applied migration must never change."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def available() -> list[Migration]:
    """Return the migrations of this version in order."""
    folder = importlib.resources.files(__package__) / "migrations"
    found = []
    for item in folder.iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", item.name)
        if match:
            found.append(Migration(int(match[1]), match[2], item.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def migrate(connection: psycopg2.extensions.connection) -> list[Migration]:
    """Apply what is missing and return it; nothing is half-applied when one fails.

    Raises:
        MigrationError: the database is newer than this program, or an applied migration
            was changed afterwards.
    """
    connection.autocommit = True
    applied_now = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        try:
            for migration in _pending(cursor):
                cursor.execute("BEGIN")
                try:
                    cursor.execute(migration.sql)
                    cursor.execute(
                        "INSERT INTO schema_migration (version, name, checksum)"
                        " VALUES (%s, %s, %s)",
                        (migration.version, migration.name, migration.checksum),
                    )
                    cursor.execute("COMMIT")
                except BaseException:
                    cursor.execute("ROLLBACK")
                    raise
                applied_now.append(migration)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", (MIGRATION_LOCK,))
    return applied_now


def pending(connection: psycopg2.extensions.connection) -> list[Migration]:
    """Return the migrations that the database still lacks, without changing anything."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('schema_migration') IS NOT NULL")
        if not one_row(cursor)[0]:
            return available()
        return _check(_applied(cursor))


def _pending(cursor: psycopg2.extensions.cursor) -> list[Migration]:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS schema_migration ("
        " version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    return _check(_applied(cursor))


def _applied(cursor: psycopg2.extensions.cursor) -> dict[int, str]:
    cursor.execute("SELECT version, checksum FROM schema_migration")
    return dict(cursor.fetchall())


def _check(applied: dict[int, str]) -> list[Migration]:
    ours = available()
    unknown = set(applied) - {migration.version for migration in ours}
    if unknown:
        raise MigrationError(
            f"the database is at migration {max(unknown)}, this program only knows "
            f"{ours[-1].version}: install the newer version, or restore the backup made before it"
        )
    for migration in ours:
        if migration.version in applied and applied[migration.version] != migration.checksum:
            raise MigrationError(
                f"migration {migration.version:04}_{migration.name} was changed after it was "
                "applied to this database: write a new one instead"
            )
    return [migration for migration in ours if migration.version not in applied]
