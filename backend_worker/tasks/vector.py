"""Queue ``vector``: similarity vectors of tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.celery_app import app
from backend_worker.storage import vectors as storage
from backend_worker.tasks.arguments import as_ids
from backend_worker.tasks.base import PipelineTask

if TYPE_CHECKING:
    from collections.abc import Sequence


@app.task(name="vectorization.calculate", base=PipelineTask)
def calculate(track_ids: Sequence[int | str] | int | str, metadata: object = None) -> None:
    """Make the vectors of these tracks; a track that is gone meanwhile is left out.

    Args:
        track_ids: numbers, or text with digits; a single one may stand without a list.
        metadata: what clients of the earlier system send along; not needed.
    """
    # scikit-learn costs a process some 100 MB: only those that need it import it
    from backend_worker.library import vectors  # noqa: PLC0415

    features = storage.features(as_ids(track_ids))
    pairs = zip(
        (feature.track_id for feature in features), vectors.track_vectors(features), strict=True
    )
    storage.store_track_vectors(vectors.MODEL_VERSION, pairs)
