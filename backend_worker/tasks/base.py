"""What all tasks share: retrying what passes by itself, and sending on by size."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import kombu.exceptions
import redis.exceptions
from celery import Task
from celery.exceptions import Reject

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStoreError
from backend_worker.storage import batches
from backend_worker.storage.connection import PERMANENT, RETRYABLE, DatabaseAwayError
from backend_worker.tasks.arguments import ArgumentError
from backend_worker.tasks.delivery import count_delivery, forget_deliveries
from backend_worker.tasks.touch import FolderHangsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Item = TypeVar("Item")

logger = logging.getLogger(__name__)

# Conditions that pass by themselves: a server restarting, a deadlock, a full disk.
TRANSIENT = (
    *RETRYABLE,
    DatabaseAwayError,
    CoverStoreError,
    FolderHangsError,
    kombu.exceptions.OperationalError,  # Redis was away when a message was sent
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    # Redis answers and refuses: its disk ("MISCONF") or its memory is full, it may only be read,
    # or we lack a right. No file is to blame for that.
    redis.exceptions.ResponseError,
)

LONGEST_RETRY_SECONDS = 30
# Seconds between tries to send a retry that Redis refuses: its memory or its disk is full.
REFUSED_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)

_SAY_AGAIN_SECONDS = 60.0
_SHOWN_CHARACTERS = 100
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
    throws = (ArgumentError,)  # logged below; a stack trace would tell nothing more
    max_retries = None
    retry_backoff = 1  # seconds, doubled each time
    retry_backoff_max = LONGEST_RETRY_SECONDS
    retry_jitter = True

    def before_start(self, task_id: str, args: Any, kwargs: Any) -> None:
        """Check the arguments' number and names, and count a repeated delivery.

        Twice ``max_deliveries`` are allowed: before that, extraction splits its batch.

        Raises:
            ArgumentError: the task does not take such arguments.
            KillsItsProcessError: there were too many deliveries.
        """
        try:
            self.__header__(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(str(error)) from error
        if not self.request.delivery_info.get("redelivered"):
            return
        with suppress(redis.exceptions.RedisError):
            if count_delivery(task_id) > 2 * get_config().max_deliveries:
                raise KillsItsProcessError("its process died each time that it ran")

    def retry(self, *args: Any, **kwargs: Any) -> Any:
        """Send the task again for later, as Celery does, but do not give up at once.

        Raises:
            Reject: Redis refuses it for half a minute: it is full, and this task with what it
                holds is in the way. Its batch stays on record and is sent again.
        """
        for pause in REFUSED_PAUSES:
            try:
                return super().retry(*args, **kwargs)
            except Reject as error:
                logger.warning("%s cannot be sent again for later: %s", self.name, error.reason)
                time.sleep(pause)
        return super().retry(*args, **kwargs)

    def on_failure(
        self, exc: BaseException, task_id: str, args: Any, kwargs: Any, einfo: Any
    ) -> None:
        """Say in one line which arguments were wrong; Celery logs all else that is raised."""
        if isinstance(exc, ArgumentError):
            logger.error("%s was called with wrong arguments: %s", self.name, _one_line(exc))

    def on_retry(
        self,
        exc: BaseException,
        task_id: str,
        args: Any,
        kwargs: Any,
        einfo: Any,
    ) -> None:
        """Log one line: this is expected, a stack trace would only frighten."""
        told = isinstance(exc, FolderHangsError)  # by the parent
        level = logging.DEBUG if told or not _is_news(exc) else logging.WARNING
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
        super().on_failure(exc, task_id, args, kwargs, einfo)
        batch_id = self.batch_of(args, kwargs)
        if not batch_id:
            return
        scan_id = batches.fail_batch(batch_id, f"internal error in {self.name}: {_one_line(exc)}")
        if scan_id is not None:
            send("scan.finish", [scan_id])


def send(task_name: str, args: Sequence[Any], **options: Any) -> None:
    """Send a task by name to its queue, compressed where that pays (see ``celery_app``)."""
    # Otherwise Celery subscribes to the answer of each message: two more Redis commands.
    options.setdefault("ignore_result", True)
    options.setdefault("compression", "gzip")
    app.send_task(task_name, args=list(args), argsrepr=_shown(args), **options)


def _shown(args: Sequence[Any]) -> str:
    """Return what Flower shows of the arguments; those of a batch would fill pages."""
    return f"({', '.join(map(_shown_one, args))})"


def _shown_one(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"<{len(value)} items>"
    return repr(value)[:_SHOWN_CHARACTERS]


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
