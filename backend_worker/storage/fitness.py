"""Whether a scan could store anything: asked before it begins, so that it says so at once."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from backend_worker.storage import migrations
from backend_worker.storage.connection import (
    LACKS_RIGHTS,
    LACKS_TABLES,
    DatabaseUnusableError,
    one_row,
)

if TYPE_CHECKING:
    import psycopg2.extensions

_NEEDED = ("SELECT", "INSERT", "UPDATE", "DELETE")


def check(cursor: psycopg2.extensions.cursor) -> None:
    """Look whether the tables are there and may be written.

    Raises:
        DatabaseUnusableError: they are not; the message says what to do.
    """
    cursor.execute(
        "SELECT name FROM unnest(%s) AS name WHERE to_regclass(name) IS NULL", [_tables()]
    )
    if cursor.rowcount:
        raise DatabaseUnusableError(LACKS_TABLES)
    cursor.execute(
        "SELECT DISTINCT name FROM unnest(%s) AS name, unnest(%s) AS needed"
        " WHERE NOT has_table_privilege(name, needed) ORDER BY name",
        (_tables(), list(_NEEDED)),
    )
    closed = [f"table {name}" for (name,) in cursor]
    cursor.execute("SELECT has_database_privilege(current_database(), 'TEMPORARY')")
    if not one_row(cursor)[0]:
        closed.append("temporary tables")
    if closed:
        raise DatabaseUnusableError(
            LACKS_RIGHTS.format(f"{', '.join(_NEEDED)} on {', '.join(closed)}")
        )


@functools.cache
def _tables() -> list[str]:
    """Return the names of the tables that the migrations make."""
    made = (re.findall(r"(?m)^CREATE TABLE (\w+)", one.sql) for one in migrations.available())
    return sorted({name for names in made for name in names})
