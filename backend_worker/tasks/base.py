"""What all tasks share: retrying what passes by itself, and sending on by size."""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import kombu.exceptions
import redis.exceptions
from celery import Task

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStoreError
from backend_worker.storage import batches
from backend_worker.storage.connection import PERMANENT, RETRYABLE, DatabaseAwayError
from backend_worker.tasks.delivery import count_delivery, forget_deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Item = TypeVar("Item")

logger = logging.getLogger(__name__)

# Conditions that pass by themselves: a server restarting, a deadlock, a full disk.
TRANSIENT = (
    *RETRYABLE,
    DatabaseAwayError,
    CoverStoreError,
    kombu.exceptions.OperationalError,  # Redis was away when a message was sent
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
)


_SAY_AGAIN_SECONDS = 60.0
_said: dict[str, float] = {}  # by the error's name: when it was last logged as a warning


class KillsItsProcessError(RuntimeError):
    """A task whose process died again and again; it is given up."""


class PipelineTask(Task):
    """A task that is tried again, with growing pauses, until PostgreSQL or Redis is back.

    It stays in the worker while it waits, so a restart of the worker gives it back to its
    queue; there is no limit of tries, since the condition is not the task's fault.

    One whose process dies each time is given up: it would be delivered again for ever.
    """

    abstract = True
    autoretry_for = TRANSIENT
    dont_autoretry_for = PERMANENT
    max_retries = None
    retry_backoff = 1  # seconds, doubled each time
    retry_backoff_max = 60
    retry_jitter = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Count a repeated delivery.

        Twice ``max_deliveries`` are allowed: before that, extraction splits its batch.

        Raises:
            KillsItsProcessError: there were too many.
        """
        if not self.request.delivery_info.get("redelivered"):
            return
        with suppress(redis.exceptions.RedisError):
            if count_delivery(task_id) > 2 * get_config().max_deliveries:
                raise KillsItsProcessError("its process died each time that it ran")

    def on_retry(
        self,
        exc: BaseException,
        task_id: str,
        args: Any,
        kwargs: Any,
        einfo: Any,
    ) -> None:
        """Log one line: this is expected, a stack trace would only frighten."""
        level = logging.WARNING if _is_news(exc) else logging.DEBUG
        logger.log(level, "%s waits and tries again: %s", self.name, _one_line(exc))
        if self.request.delivery_info.get("redelivered"):
            with suppress(redis.exceptions.RedisError):
                forget_deliveries(task_id)  # no process died


class BatchTask(PipelineTask):
    """A task that deals with one batch of a scan.

    When it fails for a reason that will not pass, its batch is recorded as failed: the scan
    must end, with figures that add up.
    """

    abstract = True

    @staticmethod
    def batch_of(args: Sequence[Any], kwargs: dict[str, Any]) -> str | None:
        """Return the id of the batch in the task's arguments."""
        batch_id = kwargs.get("batch_id") or (args[1] if len(args) > 1 else None)
        return None if batch_id is None else str(batch_id)

    def on_failure(
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """Record the batch as failed and end its scan if it was the last."""
        batch_id = self.batch_of(args, kwargs)
        if not batch_id:
            return
        scan_id = batches.fail_batch(batch_id, f"internal error in {self.name}: {_one_line(exc)}")
        if scan_id is not None:
            send("scan.finish", [scan_id])


def send(task_name: str, args: Sequence[Any], **options: Any) -> None:
    """Send a task by name to its queue, compressed if it is large.

    Celery's own ``task_compression`` has no threshold, and small messages would grow.
    """
    # Otherwise Celery subscribes to the answer of each message: two more Redis commands.
    options.setdefault("ignore_result", True)
    size = len(json.dumps(args))
    if size > get_config().compress_above_bytes:
        options["compression"] = "gzip"
    app.send_task(task_name, args=list(args), argsrepr=f"({size} bytes)", **options)


def chunks(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    """Cut a sequence into lists of at most ``size``."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _is_news(error: BaseException) -> bool:
    """Say whether this process has not met such an error for a minute.

    While a server is away, dozens of tasks try again every few seconds.
    """
    now = time.monotonic()
    name = type(error).__name__
    if now - _said.get(name, float("-inf")) < _SAY_AGAIN_SECONDS:
        return False
    _said[name] = now
    return True


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
