"""What all tasks share: retrying what passes by itself, and sending on by size."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import redis.exceptions
from celery import Task

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.storage.connection import RETRYABLE, DatabaseAwayError

logger = logging.getLogger(__name__)

# Conditions that pass by themselves: a server restarting, a deadlock, a full disk.
TRANSIENT = (*RETRYABLE, DatabaseAwayError, redis.exceptions.RedisError)


class PipelineTask(Task):
    """A task that is tried again, with growing pauses, until PostgreSQL or Redis is back.

    It stays in the worker while it waits, so a restart of the worker gives it back to its
    queue; there is no limit of tries, since the condition is not the task's fault.
    """

    abstract = True
    autoretry_for = TRANSIENT
    max_retries = None
    retry_backoff = 1  # seconds, doubled each time
    retry_backoff_max = 60
    retry_jitter = True

    def on_retry(
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any  # noqa: ARG002
    ) -> None:
        """Log one line: this is expected, a stack trace would only frighten."""
        logger.warning("%s waits and tries again: %s", self.name, _one_line(exc))


def send(task_name: str, args: Sequence[Any], **options: Any) -> None:
    """Send a task by name to its queue, compressed if it is large.

    Celery's own ``task_compression`` has no threshold, and small messages would grow.
    """
    size = len(json.dumps(args))
    if size > get_config().compress_above_bytes:
        options["compression"] = "gzip"
    app.send_task(task_name, args=list(args), argsrepr=f"({size} bytes)", **options)


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
