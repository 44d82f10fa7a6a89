"""What ails a database that answers: its version, rights, encoding, indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend_worker.storage import migrations
from backend_worker.storage.connection import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_VERSION = 17
_CONNECT_SECONDS = 5
_STATEMENT_OPTIONS = "-c statement_timeout=5000 -c lock_timeout=5000"

_RIGHTS = """
SELECT right_name, array_agg(relname::text ORDER BY relname)
  FROM pg_class
  JOIN pg_namespace ON pg_namespace.oid = relnamespace,
       unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS right_name
 WHERE nspname = ANY (current_schemas(false)) AND relkind = 'r'
   AND NOT has_table_privilege(pg_class.oid, right_name)
 GROUP BY right_name
"""
_FOREIGN = """
SELECT pg_get_userbyid(relowner), array_agg(relname::text ORDER BY relname)
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE nspname = ANY (current_schemas(false)) AND relkind = 'r'
   AND NOT pg_has_role(relowner, 'USAGE')
   AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')
 GROUP BY relowner
"""


@dataclass(frozen=True, slots=True)
class Ailment:
    """Something that is not as it should be.

    Args:
        fatal: whether the worker cannot work.
        subject: two words.
        detail: what was found.
        remedy: what to do.
    """

    fatal: bool
    subject: str
    detail: str
    remedy: str


def examine() -> tuple[int, list[Ailment]]:
    """Look at the configured database without changing anything.

    Returns:
        Its version, as 170004, and what is wrong.

    Raises:
        DatabaseAwayError: PostgreSQL does not answer or does not let us in.
    """
    connection = connect(connect_timeout=_CONNECT_SECONDS, options=_STATEMENT_OPTIONS)
    try:
        version = connection.server_version
        connection.autocommit = True
        with connection.cursor() as cursor:
            found = [*_server(cursor, version), *_rights(cursor), *_damage(cursor)]
        if not any(ailment.fatal for ailment in found):
            found += _tables(connection)
        return version, found
    finally:
        connection.close()


def _server(cursor: Any, version: int) -> Iterator[Ailment]:
    if version < LEAST_VERSION * 10000:
        yield Ailment(
            True,
            "PostgreSQL version",
            f"it is {version // 10000}, and {LEAST_VERSION} or newer is needed",
            "Debian 13 has 17: sudo apt install postgresql-17 postgresql-17-pgvector; then, with "
            f"the worker stopped, sudo pg_upgradecluster {version // 10000} main",
        )
    cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
    if not cursor.fetchone()[0]:
        yield Ailment(
            True,
            "pgvector",
            "the extension is not installed",
            f"sudo apt install postgresql-{max(version // 10000, LEAST_VERSION)}-pgvector",
        )
    cursor.execute("SELECT getdatabaseencoding(), current_setting('transaction_read_only')")
    encoding, read_only = cursor.fetchone()
    if encoding != "UTF8":
        yield Ailment(
            True,
            "database encoding",
            f"it is {encoding}: names and tags need UTF8",
            "make a database with ENCODING 'UTF8' TEMPLATE template0 and restore a backup into it",
        )
    if read_only == "on":
        yield Ailment(
            True,
            "database",
            "it can only be read (default_transaction_read_only, or a standby server)",
            "name the primary server in BACKEND_WORKER_DATABASE_URL, or switch that off",
        )


def _rights(cursor: Any) -> Iterator[Ailment]:
    cursor.execute(
        "SELECT current_user, current_database(), "
        "has_database_privilege(current_database(), 'TEMPORARY')"
    )
    user, database, temporary = cursor.fetchone()
    as_owner = f"sudo -u postgres psql -d {database} -c"
    if not temporary:
        yield Ailment(
            True,
            "database rights",
            f"{user} may not make temporary tables",
            f"""{as_owner} 'GRANT TEMPORARY ON DATABASE "{database}" TO "{user}"'""",
        )
    cursor.execute(_RIGHTS)
    for right, tables in cursor.fetchall():
        yield Ailment(
            True,
            "database rights",
            f"{user} has no {right} on {_some(tables)}",
            f"""{as_owner} 'GRANT ALL ON ALL TABLES IN SCHEMA public TO "{user}"'""",
        )
    cursor.execute(_FOREIGN)
    for owner, tables in cursor.fetchall():
        yield Ailment(
            False,
            "table owner",
            f"{_some(tables)} belong to {owner}, not to {user}: no upgrade can change them",
            'give them back: docs/operations.md, "Tables of another owner"',
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _damage(cursor: Any) -> Iterator[Ailment]:
    cursor.execute(
        "SELECT datcollversion, pg_database_collation_actual_version(oid)"
        " FROM pg_database WHERE datname = current_database()"
    )
    made, now = cursor.fetchone()
    if made != now:
        yield Ailment(
            False,
            "database order",
            f"the system sorts text by version {now}, the indexes were made with {made}",
            'docs/operations.md, "A damaged index": REINDEX, then REFRESH COLLATION VERSION',
        )
    cursor.execute(
        "SELECT coalesce(checksum_failures, 0) FROM pg_stat_database"
        " WHERE datname = current_database()"
    )
    failures = cursor.fetchone()[0]
    if failures:
        yield Ailment(
            True,
            "database files",
            f"{failures} blocks were read that are not what was written",
            'the disk fails: docs/operations.md, "PostgreSQL\'s files are damaged"',
        )
    cursor.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")
    invalid = [name for (name,) in cursor.fetchall()]
    if invalid:
        yield Ailment(
            False,
            "database index",
            f"{_some(invalid)} are not valid and not used",
            'docs/operations.md, "A damaged index": REINDEX',
        )


def _tables(connection: Any) -> Iterator[Ailment]:
    try:
        missing = migrations.pending(connection)
    except migrations.MigrationError as error:
        yield Ailment(True, "tables", str(error), "install the version that belongs to them")
        return
    if missing:
        yield Ailment(
            True, "tables", f"{len(missing)} migrations are missing", "backend-worker migrate"
        )
