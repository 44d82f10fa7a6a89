"""Queue ``vector``: similarity vectors of tracks and artists.

scikit-learn costs a process some 100 MB: it is imported only where there is something to do.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from celery.exceptions import SoftTimeLimitExceeded

from backend_worker.library.features import MODEL_VERSION
from backend_worker.progress import events
from backend_worker.storage import vectors as storage
from backend_worker.storage.connection import DatabaseUnusableError
from backend_worker.tasks.arguments import as_ids
from backend_worker.tasks.base import TRANSIENT, task
from backend_worker.tasks.pending import ARTISTS, TRACKS

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

_NO_FAULT_OF_A_TRACK: tuple[type[Exception], ...] = (
    *TRANSIENT,
    DatabaseUnusableError,
    SoftTimeLimitExceeded,
)

TRACKS_AT_ONCE = 2000
ARTISTS_AT_ONCE = 500


@task("vectorization.calculate")
def calculate(track_ids: Sequence[int | str] | int | str, metadata: object = None) -> None:
    """Make the vectors of these tracks; a track that is gone meanwhile is left out.

    Args:
        track_ids: numbers, or text with digits; a single one may stand without a list.
        metadata: what clients of the earlier system send along; not needed.
    """
    _make_vectors(as_ids(track_ids))


@task("vectorization.pending")
def pending() -> None:
    """Make the vectors of all tracks that wait, then those of their artists.

    One process at a time does: a second one would load scikit-learn too, for little gain.
    """
    while TRACKS or ARTISTS:
        with storage.making_vectors() as mine:
            if not mine:
                # Whoever is at it looks again after it has given up the right.
                return
            _make_pending()


def _make_pending() -> None:
    while True:
        if tracks := TRACKS.take(TRACKS_AT_ONCE):
            _make_what_can_be_made(tracks)
            ARTISTS.add(storage.artists_of(tracks))
            TRACKS.done(tracks)
        elif artists := ARTISTS.take(ARTISTS_AT_ONCE):
            storage.make_artist_vectors(artists, MODEL_VERSION)
            events.publish("vectors.stored", artists=len(artists))
            ARTISTS.done(artists)
        else:
            return


def _make_what_can_be_made(track_ids: list[int]) -> None:
    """Make vectors; if one track is the reason that it fails, those of all others."""
    try:
        _make_vectors(track_ids)
    except _NO_FAULT_OF_A_TRACK:
        raise
    except Exception as error:
        if len(track_ids) == 1:
            logger.warning("track %d gets no vector: %s", track_ids[0], error)
            return
        middle = len(track_ids) // 2
        _make_what_can_be_made(track_ids[:middle])
        _make_what_can_be_made(track_ids[middle:])


def _make_vectors(track_ids: Sequence[int]) -> None:
    features = storage.features(track_ids)
    if not features:
        return
    from backend_worker.library.vectors import track_vectors  # noqa: PLC0415 - see above

    made = zip((feature.track_id for feature in features), track_vectors(features), strict=True)
    events.publish("vectors.stored", tracks=storage.store_track_vectors(MODEL_VERSION, made))
