"""Counting deliveries, so that a file which kills its reader is found and not read for ever.

With ``acks_late`` and ``task_reject_on_worker_lost`` a batch whose process dies is delivered
again, without end. The count lives in Redis beside the message: if Redis is lost, so is both.
"""

from __future__ import annotations

from backend_worker.progress.connection import redis_client

_KEEP_SECONDS = 86400


def count_delivery(batch_id: str) -> int:
    """Count this delivery of a batch and return how many there were, this one included."""
    key = f"backend_worker:delivery:{batch_id}"
    pipeline = redis_client().pipeline(transaction=False)
    pipeline.incr(key)
    pipeline.expire(key, _KEEP_SECONDS)
    return int(pipeline.execute()[0])


def forget_deliveries(batch_id: str) -> None:
    """Forget the count when the batch was read."""
    redis_client().delete(f"backend_worker:delivery:{batch_id}")
