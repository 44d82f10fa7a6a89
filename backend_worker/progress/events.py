"""Progress events. An event is a line of news, never a fact: losing one harms nothing.

Facts are in PostgreSQL; so Redis being away must not stop a task that only reports.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, cast

from backend_worker.config import get_config
from backend_worker.progress.connection import redis_client

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import redis
    from redis.typing import EncodableT, FieldT

    Fields = dict[FieldT, EncodableT]

logger = logging.getLogger(__name__)


def publish(
    kind: str, scan_id: int | None = None, *, client: redis.Redis | None = None, **details: Any
) -> None:
    """Append an event such as ``scan.finished`` to the bounded stream.

    Args:
        kind: ``<subject>.<what happened>``.
        scan_id: the scan that it belongs to.
        client: instead of this process's own, whose time-outs are long.
        **details: JSON-able values.
    """
    publish_all([(kind, details)], scan_id, client=client)


def publish_all(
    events: Sequence[tuple[str, Mapping[str, Any]]],
    scan_id: int | None = None,
    *,
    client: redis.Redis | None = None,
) -> None:
    """Append several events, as (kind, details), at the price of one: see :func:`publish`."""
    config = get_config()
    if not config.progress_stream:
        return
    try:
        pipeline = (client or redis_client()).pipeline(transaction=False)
        for kind, details in events:
            entry: Fields = {
                "kind": kind,
                "time": f"{time.time():.3f}",
                "details": json.dumps(details),
            }
            if scan_id is not None:
                entry["scan"] = str(scan_id)
            pipeline.xadd(
                config.progress_stream,
                entry,
                maxlen=config.progress_stream_length,
                approximate=True,
            )
        pipeline.execute()
    except Exception as error:
        logger.debug("%d events not published: %s", len(events), error)


def read(after: str = "-", count: int = 1000) -> list[dict[str, Any]]:
    """Return events after a stream id (``-`` for the oldest), oldest first.

    Raises:
        redis.RedisError: Redis is away.
    """
    start = after if after == "-" else f"({after}"
    found = redis_client().xrange(get_config().progress_stream, min=start, count=count)
    entries = cast("list[tuple[str, dict[str, str]]]", found)  # decode_responses
    return [
        {
            **json.loads(fields["details"]),  # first: a scan's figures have an id as well
            "id": entry_id,
            "kind": fields["kind"],
            "time": float(fields["time"]),
            "scan": int(fields["scan"]) if "scan" in fields else None,
        }
        for entry_id, fields in entries
    ]


def trim(length: int) -> int:
    """Cut the stream to so many events and return how many were removed."""
    return redis_client().xtrim(get_config().progress_stream, maxlen=length, approximate=False)
