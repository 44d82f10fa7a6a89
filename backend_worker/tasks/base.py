"""What all tasks share: retrying what passes by itself, and sending on by size."""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

import kombu.exceptions
import redis.exceptions
from celery import Task
from celery.exceptions import Reject

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.library.artwork.store import CoverStoreError
from backend_worker.storage.connection import (
    PERMANENT,
    RETRYABLE,
    DatabaseAwayError,
    DatabaseUnusableError,
)
from backend_worker.tasks.arguments import ArgumentError
from backend_worker.tasks.delivery import count_delivery, forget_deliveries
from backend_worker.tasks.touch import FolderHangsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Function = TypeVar("Function", bound="Callable[..., Any]")
Item = TypeVar("Item")

logger = logging.getLogger(__name__)

# Conditions that pass by themselves: a server restarting, a deadlock, a full disk.
TRANSIENT: tuple[type[Exception], ...] = (
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
    # Celery ends the whole worker if a task raises it.
    MemoryError,
)

# of a message: the batch that its task deals with
BATCH_HEADER = "batch"

LONGEST_RETRY_SECONDS = 30
# Seconds between tries to send a retry that Redis refuses: its memory or its disk is full.
REFUSED_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)

_SAY_AGAIN_SECONDS = 60.0
_SHOWN_CHARACTERS = 100
_said: dict[str, float] = {}  # by the error's name: when it was last logged as a warning


class KillsItsProcessError(RuntimeError):
    """A task whose process died again and again; it is given up."""


def task(
    name: str, base: type[Task] | None = None, **options: Any
) -> Callable[[Function], Function]:
    """Declare a function as a task; ``app.task``, which says no types.

    Args:
        name: the task's name in messages.
        base: its class; a :class:`PipelineTask` unless told.
        **options: further ones of Celery's ``app.task``.
    """
    declare = app.task(name=name, base=base or PipelineTask, **options)
    return cast("Callable[[Function], Function]", declare)


class PipelineTask(Task):
    """A task that is tried again, with growing pauses, until PostgreSQL or Redis is back.

    It stays in the worker while it waits, so a restart of the worker gives it back to its
    queue; there is no limit of tries, since the condition is not the task's fault.

    One whose process dies each time is given up: it would be delivered again for ever.
    """

    abstract = True
    autoretry_for: ClassVar[tuple[type[Exception], ...]] = TRANSIENT
    dont_autoretry_for = PERMANENT
    # logged below; a stack trace would tell nothing more
    throws = (ArgumentError, DatabaseUnusableError)  # type: ignore[assignment] # Celery's is ()
    max_retries = None  # type: ignore[assignment] # Celery's is 3; it takes None for no limit
    retry_backoff = 1  # seconds, doubled each time
    retry_backoff_max = LONGEST_RETRY_SECONDS
    retry_jitter = True
    __header__: Callable[..., None]  # made by Celery: has the function's signature

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
        """Say in one line what is wrong with arguments or database; Celery logs all else."""
        if isinstance(exc, ArgumentError):
            logger.error("%s was called with wrong arguments: %s", self.name, one_line(exc))
        elif isinstance(exc, DatabaseUnusableError) and is_news(exc):
            logger.error("%s is given up: %s", self.name, exc)

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
        level = logging.DEBUG if told or not is_news(exc) else logging.WARNING
        logger.log(level, "%s waits and tries again: %s", self.name, one_line(exc))
        if self.request.delivery_info.get("redelivered"):
            with suppress(redis.exceptions.RedisError):
                forget_deliveries(task_id)  # no process died


def send(
    task_name: str, args: Sequence[Any], *, batch_id: str | None = None, **options: Any
) -> None:
    """Send a task by name to its queue, compressed where that pays (see ``celery_app``).

    Args:
        task_name: the task.
        args: its arguments.
        batch_id: the batch that it deals with, which then stands in the message's headers: who
            looks for it there need not unpack the arguments.
        **options: further ones of Celery's ``send_task``.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    if batch_id is not None:
        options["headers"] = {BATCH_HEADER: batch_id}
    # Otherwise Celery subscribes to the answer of each message: two more Redis commands.
    options.setdefault("ignore_result", True)
    options.setdefault("compression", "gzip")
    app.send_task(task_name, args=list(args), argsrepr=_shown(args), **options)


def send_paths(batch_id: str, paths: Iterable[bytes]) -> None:
    """Send the files of a batch to be read; see :func:`send`."""
    args = [[os.fsdecode(path) for path in paths], batch_id]
    send("metadata.extract_batch", args, batch_id=batch_id)


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


def is_news(error: BaseException, about: str = "") -> bool:
    """Say whether this process has not met such an error for a minute.

    While a server is away, dozens of tasks try again every few seconds.

    Args:
        error: the error.
        about: tells apart what is said of the same error.
    """
    now = time.monotonic()
    name = f"{type(error).__name__} {about}"
    if now - _said.get(name, float("-inf")) < _SAY_AGAIN_SECONDS:
        return False
    _said[name] = now
    return True


def one_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its name if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
