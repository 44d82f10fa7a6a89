"""Queue ``batch``: group what was read into artists, albums and tracks."""

from __future__ import annotations

from typing import Any

from backend_worker.celery_app import app
from backend_worker.library.grouping import group
from backend_worker.library.model import TrackRecord
from backend_worker.tasks.base import BatchTask, send


@app.task(name="batch.process_entities", base=BatchTask)
def process_entities(
    metadata_list: dict[str, Any] | list[dict[str, Any]], batch_id: str | None = None
) -> None:
    """Group a batch and send it to the ``insert`` queue.

    Args:
        metadata_list: what ``metadata.extract_batch`` sends (tracks, failures, ignored), or
            a plain list of track dictionaries, as clients of the earlier system send it.
        batch_id: the batch; a client without one gets one.

    Raises:
        ValueError: a track lacks its path.
    """
    if isinstance(metadata_list, list):
        metadata_list = {"tracks": metadata_list}
    if batch_id is None:
        batch_id = f"client-{app.current_task.request.id}"
    entities = group(_record(message) for message in metadata_list.get("tracks", []))
    send(
        "insert.direct_batch",
        [
            {
                "batch_id": batch_id,
                **entities.to_message(),
                "failures": metadata_list.get("failures", []),
                "ignored": metadata_list.get("ignored", 0),
            }
        ],
    )


def _record(message: dict[str, Any]) -> TrackRecord:
    if not message.get("path"):
        raise ValueError("a track of this batch has no path: each needs at least `path`")
    # A client that read the tags by itself need not know size and fingerprint: the next
    # scan sees a file whose size differs and reads it again.
    return TrackRecord.from_message({"size": 0, "mtime_ns": 0, "fingerprint": "", **message})
