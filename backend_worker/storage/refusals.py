"""What the database refuses of a batch: the files are found by halving, the rest is stored.

One value that no column takes fails the whole transaction. Which file brought it is found by
trial: halves are stored and rolled back, some 16 times for one file of 250.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import psycopg2

from backend_worker.library.grouping import group
from backend_worker.library.model import EntityBatch, FailedFile, TrackRecord
from backend_worker.library.paths import shown
from backend_worker.storage.connection import PERMANENT
from backend_worker.storage.insert import try_to_insert
from backend_worker.storage.maintenance import READ_AGAIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Item = TrackRecord | FailedFile

logger = logging.getLogger(__name__)

# Errors of what is stored, not of the server: no other try will change them.
REFUSALS = (
    psycopg2.DataError,
    psycopg2.IntegrityError,
    psycopg2.InternalError,
    psycopg2.NotSupportedError,
    psycopg2.ProgrammingError,
    *PERMANENT,
    # before PostgreSQL is asked: a text that is no Unicode, a value of a wrong type
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
_COLUMN = re.compile(r"\bcolumn (\w+)")
_LONGEST_REASON = 300


def sift(
    entities: EntityBatch, failures: Sequence[FailedFile], error: BaseException
) -> tuple[EntityBatch, list[FailedFile]]:
    """Return what of a refused batch can be stored; the refused files are failures.

    Their time is recorded as unknown, so the next scan reads them again: a newer version of
    this program may know better. A file that cannot even be recorded is left out and logged.

    Args:
        entities: the batch.
        failures: its files that could not be read.
        error: with which the whole was refused.

    Raises:
        psycopg2.Error: the server is away, or chose us as a victim.
    """
    tracks = [TrackRecord.from_message(track.record) for track in entities.tracks]
    refused = {item.path: why for item, why in _refused([*tracks, *failures], error)}
    kept = [failure for failure in failures if failure.path not in refused]
    for path, why in refused.items():
        failure = FailedFile(path, 0, READ_AGAIN, _reason(why))
        try:
            _try([failure])
        except REFUSALS as second:
            logger.warning("%r cannot even be recorded: %s", path, _reason(second))
        else:
            kept.append(failure)
    return group(track for track in tracks if track.path not in refused), kept


def _refused(items: Sequence[Item], error: BaseException) -> Iterator[tuple[Item, BaseException]]:
    """Yield those that are refused by themselves, each with the error."""
    if len(items) < 2:
        yield from ((item, error) for item in items)
        return
    middle = len(items) // 2
    for half in (items[:middle], items[middle:]):
        try:
            _try(half)
        except REFUSALS as why:
            yield from _refused(half, why)


def _try(items: Sequence[Item]) -> None:
    try_to_insert(
        group(item for item in items if isinstance(item, TrackRecord)),
        [item for item in items if isinstance(item, FailedFile)],
    )


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    context = error.diag.context if isinstance(error, psycopg2.Error) else None
    column = _COLUMN.search(context or "")
    what = f"its {column[1]}" if column else "something of it"
    text = f"the database does not take {what}: {lines[0]}"[:_LONGEST_REASON]
    return shown(text.replace("\0", "\\0"))
