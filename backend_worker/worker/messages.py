"""What the worker does with messages that it cannot read, and with a Redis that refuses to write.

Celery ends at the first message that is no JSON, and starts over without end at one that lacks
its id, which it takes for a lost connection. Here such a message is dropped, with one line in
the log: whoever wrote it has to write it again, and a scan sends its lost batches again itself.
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty
from typing import TYPE_CHECKING, Any

import redis.exceptions
from celery.exceptions import NotRegistered
from celery.utils.objects import Bunch
from celery.utils.time import maybe_iso8601
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.exceptions import SerializationError, SerializerNotInstalled
from kombu.transport import redis as redis_transport
from kombu.transport import virtual
from kombu.utils.json import dumps

from backend_worker.tasks.base import LONGEST_RETRY_SECONDS
from backend_worker.worker.recovery import RememberingQoS, let_go

if TYPE_CHECKING:
    from collections.abc import Callable

    from kombu.connection import Connection

logger = logging.getLogger(__name__)

# What reading data of an unexpected shape ends in.
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
_SHOWN_CHARACTERS = 200
# Between two tries while Redis answers and refuses: its disk or its memory is full.
REFUSED_SECONDS = 2.0


class TolerantMessage(virtual.Message):
    """A message whose faults are found in ``errors``, not raised while it is received."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel=channel, **kwargs)
            _check(self)
        except _UNREADABLE:
            self.errors = [sys.exc_info()]
            # what Redis' record of taken messages needs, until it is dropped
            properties = {
                "delivery_tag": str(uuid.uuid4()),
                "delivery_info": {"exchange": "", "routing_key": ""},
            }
            super().__init__({"properties": properties}, channel=channel, **kwargs)
            self._raw = payload  # for the log


def _check(message: virtual.Message) -> None:
    """Raise if the envelope lacks what receiving needs."""
    for part in (message.headers, message.properties, message.delivery_info):
        if not isinstance(part, dict):
            raise TypeError("headers, properties and delivery_info are objects")
    if not isinstance(message.delivery_tag, str):
        raise TypeError("the delivery tag is a text")
    if not {"exchange", "routing_key"} <= message.delivery_info.keys():
        raise ValueError("exchange or routing_key is missing")


def _check_task(message: virtual.Message) -> None:
    """Raise if a task's headers or arguments are none."""
    if "task" not in message.headers:
        return  # protocol 1, or no task at all
    if not isinstance(message.headers["task"], str) or not isinstance(message.headers["id"], str):
        raise TypeError("the names of a task and its id are texts")
    soft, hard = message.headers.get("timelimit") or (None, None)
    if not all(isinstance(limit, int | float | None) for limit in (soft, hard)):
        raise TypeError("time limits are numbers")
    if isinstance(message.payload, list | tuple):
        args, kwargs, _ = message.payload
        if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
            raise TypeError("arguments are a list and an object")


def _mind_the_clock(headers: dict[str, Any]) -> None:
    """Let a task that is to be tried again come at once if its time is too far away.

    The clock was set back since: a Pi has none of its own, and starts with the time of its last
    shutdown until it has asked the network.
    """
    eta = maybe_iso8601(headers.get("eta")) if headers.get("retries") else None
    if eta is not None and (eta - datetime.now(UTC)).total_seconds() > LONGEST_RETRY_SECONDS:
        headers["eta"] = None


class TolerantChannel(redis_transport.Channel):
    """A connection to Redis that survives what others put into our lists."""

    Message = TolerantMessage
    QoS = RememberingQoS

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        """Return the queues of a message that is given back.

        kombu drops what nobody has declared a queue for: a worker gives back before it has
        declared its own, and a Redis of the earlier system may know other names.
        """
        return list(super()._lookup(exchange, routing_key, default)) or [routing_key]

    def _do_restore_message(
        self, payload: Any, exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)
        priority = self._get_message_priority(payload, reverse=False)
        for queue in self._lookup(exchange, routing_key):
            RememberingQoS.remember_given_back(
                payload["properties"]["delivery_tag"],
                self._q_for_pri(queue, priority),
                dumps(payload),  # as it was put there: marked as redelivered
            )

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except _UNREADABLE as error:  # it is off its list already
            text = getattr(error, "doc", "")  # of JSONDecodeError
            logger.error("a message is dropped: it is no JSON (%s): %s", error, _shown(text))  # noqa: TRY400 - the sentence says all
            raise Empty from error


class TolerantConsumer(Consumer):
    """Drops what is no task, and waits while Redis refuses to write."""

    connection: Connection  # set by Celery when it has connected

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """Return what Celery calls with each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                _check_task(message)
                _mind_the_clock(message.headers)
                handle(message)
            except (*_UNREADABLE, SerializationError, SerializerNotInstalled) as error:
                if any(request.message is message for request in state.reserved_requests):
                    raise RuntimeError("a task that was accepted could not be begun") from error
                self._drop(message, f"it is no valid task ({type(error).__name__}: {error})")

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Drop a message whose envelope or body cannot be decoded."""
        self._drop(message, f"it cannot be decoded ({type(exc).__name__}: {exc})")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Drop a message of a content type that is not accepted, or without arguments."""
        self._drop(message, f"it is no valid task ({exc})")

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Drop a message that names no task."""
        self._drop(message, "it names no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        """Drop a task that this version does not have; who waits for its result is told."""
        name, task_id = message.headers.get("task"), message.headers.get("id")
        self._drop(message, f"this version has no task {name!r}")
        if not isinstance(task_id, str):
            return
        request = Bunch(
            name=name,
            chord=None,
            root_id=None,
            correlation_id=message.properties.get("correlation_id"),
            reply_to=message.properties.get("reply_to"),
            errbacks=None,
        )
        with suppress(redis.exceptions.RedisError):
            self.app.backend.mark_as_failure(task_id, NotRegistered(name), request=request)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Say in one line that Redis is lost or refuses; Celery shows a stack trace.

        With our settings Celery's own handler does nothing else but close the connection.
        """
        if isinstance(exc, redis.exceptions.ResponseError):
            logger.warning("Redis refuses, trying again in %.0f s: %s", REFUSED_SECONDS, exc)
            time.sleep(REFUSED_SECONDS)
        else:
            logger.warning("the connection to Redis is lost, connecting again: %s", exc)
        with suppress(Exception):
            let_go(self.connection, self.hub)
            self.connection.collect()

    def _drop(self, message: Any, reason: str) -> None:
        queue = message.delivery_info.get("routing_key", "")
        content = getattr(message, "_raw", None) if message.errors else message.body
        logger.error("a message of queue %r is dropped: %s: %s", queue, reason, _shown(content))
        message.reject_log_error(logger, self.connection_errors)


def _shown(content: Any) -> str:
    """Return the beginning of something in one line."""
    return ascii(content)[:_SHOWN_CHARACTERS]
