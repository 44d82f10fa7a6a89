"""Queue ``batch``: group what was read into artists, albums and tracks."""

from __future__ import annotations

import os
from typing import Any

from backend_worker.celery_app import app
from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.storage import batches
from backend_worker.tasks.arguments import ArgumentError, as_record
from backend_worker.tasks.base import send, task
from backend_worker.tasks.batch_task import BatchTask


@task("batch.process_entities", base=BatchTask)
def process_entities(
    metadata_list: dict[str, Any] | list[dict[str, Any]], batch_id: str | int | None = None
) -> None:
    """Group a batch and send it to the ``insert`` queue.

    Args:
        metadata_list: what ``metadata.extract_batch`` sends (tracks, failures, ignored), or
            a plain list of track dictionaries, as clients of the earlier system send it
            (see :func:`as_record`).
        batch_id: the batch; a client without one gets one.

    Raises:
        ArgumentError: a track lacks its path, or the list is none.
    """
    if batch_id is None:
        batch_id = f"client-{app.current_task.request.id}"
    if isinstance(metadata_list, list):
        records = [as_record(message) for message in metadata_list]
        # its number may be that of another batch, which was stored long ago
        batches.adopt_batch(str(batch_id), [os.fsencode(record.path) for record in records])
        metadata_list = {}
    elif not isinstance(metadata_list, dict):
        raise ArgumentError("metadata_list is a list of tracks")
    else:
        records = [TrackRecord.from_message(message) for message in metadata_list["tracks"]]
    entities = group(records)
    send(
        "insert.direct_batch",
        [
            {
                "batch_id": str(batch_id),
                **entities.to_message(),
                "failures": metadata_list.get("failures", []),
                "ignored": metadata_list.get("ignored", 0),
            }
        ],
        batch_id=str(batch_id),
    )
