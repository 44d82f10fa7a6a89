"""Queue ``vector``: similarity vectors of tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.celery_app import app
from backend_worker.storage import vectors as storage
from backend_worker.tasks.base import PipelineTask

if TYPE_CHECKING:
    from collections.abc import Sequence


@app.task(name="vectorization.calculate", base=PipelineTask)
def calculate(track_ids: Sequence[int]) -> None:
    """Make the vectors of these tracks; a track that is gone meanwhile is left out."""
    # scikit-learn costs a process some 100 MB: only those that need it import it
    from backend_worker.library import vectors  # noqa: PLC0415

    features = storage.features([int(track_id) for track_id in track_ids])
    pairs = zip(
        (feature.track_id for feature in features), vectors.track_vectors(features), strict=True
    )
    storage.store_track_vectors(vectors.MODEL_VERSION, pairs)
