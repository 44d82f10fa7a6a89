"""What is left of a task that somebody revoked: its scan, or its batch, has to end.

Celery drops the message, or kills the process at work, and that is all. The scan would be taken
for one whose message is lost, and be sent again, to be dropped again. So a task tells the
database, for which the event loop here has no time.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import redis.exceptions
from celery import signals
from celery.utils.functional import maybe_list
from celery.worker import control
from kombu.exceptions import OperationalError

from backend_worker.celery_app import app
from backend_worker.tasks.base import BATCH_HEADER

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger(__name__)

_SIGNATURE = "[id1 [id2 [... [idN]]]]"


def revoke(
    state: Any,
    task_id: str | list[str],
    terminate: bool = False,
    signal: str | int | None = None,
    **kwargs: Any,
) -> Any:
    """Revoke tasks as Celery does, and end the scans that they began, whatever they do now."""
    answer = control.revoke(state, task_id, terminate, signal, **kwargs)
    _tell(maybe_list(task_id) or [])
    return answer


def terminate(state: Any, signal: str | int, task_id: str | list[str], **kwargs: Any) -> Any:
    """Revoke tasks, and send a signal to the processes that are at work on them."""
    return revoke(state, task_id, terminate=True, signal=signal, **kwargs)


def _is_dropped(sender: Any, request: Any, expired: bool, **_: Any) -> None:
    """Tell it of a batch by its number, and of a walk that was revoked by a stamp."""
    batch_id = getattr(request, BATCH_HEADER, None)
    if not expired and (batch_id or sender.name == "scan.discovery"):
        _tell([request.id], batch_id)


def _tell(task_ids: Collection[str], batch_id: str | None = None) -> None:
    try:
        app.send_task("scan.revoked", [list(task_ids), batch_id], ignore_result=True, retry=False)
    except (OperationalError, redis.exceptions.RedisError, OSError) as error:
        logger.warning("scans are not told that a task of theirs was revoked: %s", error)


control.control_command(name="revoke", variadic="task_id", signature=_SIGNATURE)(revoke)
control.control_command(
    name="terminate", args=[("signal", str)], variadic="task_id", signature=f"<signal> {_SIGNATURE}"
)(terminate)
signals.task_revoked.connect(_is_dropped)
