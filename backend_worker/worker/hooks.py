"""Signals and bootsteps of the worker; Celery imports this module when a worker starts."""

from __future__ import annotations

import ctypes
import gc
import importlib
import logging
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar, cast

from celery import signals
from celery.concurrency import prefork
from kombu.transport import redis as redis_transport

from backend_worker.celery_app import app
from backend_worker.config import get_config, redact
from backend_worker.queues import QUEUE_NAMES
from backend_worker.tasks import touch
from backend_worker.worker import logs, systemd, versions
from backend_worker.worker.messages import TolerantChannel
from backend_worker.worker.pool import SteadyPool
from backend_worker.worker.recovery import GiveBackAfterReconnect, GiveBackOrphans, LookAfterWork
from backend_worker.worker.telling import Tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.utils.dispatch import Signal

Function = TypeVar("Function", bound="Callable[..., None]")

logger = logging.getLogger(__name__)

PRELOADED = (
    "celery.backends.redis",
    "encodings.latin_1",  # ID3 tags
    "encodings.utf_16",
)
# Of a process' garbage collector: after so many new objects it looks at them, and after so many
# looks at older ones. Python's own are 700, 10 and 10.
COLLECTOR_THRESHOLDS = (10_000, 5, 5)

app.steps["worker"].add(GiveBackOrphans)
app.steps["worker"].add(Tell)
app.steps["consumer"].update((GiveBackAfterReconnect, LookAfterWork))
redis_transport.Transport.Channel = TolerantChannel
prefork.TaskPool.Pool = SteadyPool


def _on(signal: Signal) -> Callable[[Function], Function]:
    """Call a function when a signal of Celery's is sent; ``connect``, which says no types."""
    return cast("Callable[[Function], Function]", signal.connect)


@_on(signals.setup_logging)
def _set_up_logging(**_: Any) -> None:
    logs.set_up(get_config().log_level)


@_on(signals.worker_init)
def _preload(**_: Any) -> None:
    """Import what each process would import with its first tasks, so that they share it."""
    for name in PRELOADED:
        importlib.import_module(name)


@_on(signals.worker_before_create_process)
def _reserve_a_place(**_: Any) -> None:
    touch.reserve()


@_on(signals.worker_process_init)
def _take_the_place(**_: Any) -> None:
    touch.begin_process()


@_on(signals.worker_before_create_process)
def _tidy_memory(**_: Any) -> None:
    """Before the first fork, lay aside what was imported, and give back what that left over.

    The processes share those pages with the parent then: a collection in one of them would
    write to each object's header and so copy its page. Not before later forks: what is frozen
    is never collected, and a worker of months forks thousands of times.
    """
    signals.worker_before_create_process.disconnect(_tidy_memory)
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):  # another C library than glibc
        # compiling leaves some 10 MB where Python's cache of compiled modules cannot be written
        ctypes.CDLL(None).malloc_trim(0)


@_on(signals.worker_process_init)
def _leave_the_parents_objects(**_: Any) -> None:
    """Keep the collector of a new process off what it inherited, however late it was forked.

    And let it look less often at what is new: the records of a batch are thousands of objects
    that live until it is stored, and looking through them took an eighth of reading it.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)


@_on(signals.worker_init)
def _send_patiently(**_: Any) -> None:
    """Let a task that sends others wait until Redis is back.

    Celery's own policy gives up within a second. The task would fail then, for its retry is
    a message too. Only here: a client wants to be told.
    """
    app.conf.task_publish_retry_policy = {
        "max_retries": None,
        "interval_start": 0.2,  # seconds
        "interval_step": 0.2,
        "interval_max": 2.0,
    }


@_on(signals.celeryd_after_setup)
def _say_hello(**_: Any) -> None:
    """Say in one line what starts, in place of Celery's banner of forty."""
    logs.silence_advice()
    systemd.notifier()  # before any child inherits what it finds
    config = get_config()
    logger.info(
        "backend-worker %s starts: %d queues, %d to %d processes, Redis at %s, PostgreSQL at %s",
        version("backend-worker"),
        len(QUEUE_NAMES),
        config.autoscale_min,
        config.autoscale_max,
        redact(config.redis_url),
        redact(config.database_url),
    )
    if warning := versions.warning():
        logger.warning("%s", warning)


@_on(signals.worker_process_init)
def _leave_systemd_to_the_parent(**_: Any) -> None:
    systemd.forget_in_child()


@_on(signals.worker_process_init)
def _declare_no_queues(**_: Any) -> None:
    """Leave it to the parent, which declares all queues when it connects.

    When the connection breaks while a sender declares its queue, kombu 5.7 goes on with the
    closed channel (AttributeError: 'NoneType' object has no attribute 'client').
    """
    for queue in app.amqp.queues.values():
        queue.no_declare = True


@_on(signals.task_postrun)
def _tell_repeats(**_: Any) -> None:
    logs.tell_repeats()


@_on(signals.worker_process_shutdown)
def _tell_all_repeats(**_: Any) -> None:
    logs.tell_repeats(all_of_them=True)


@_on(signals.worker_shutdown)
def _say_goodbye(**_: Any) -> None:
    logs.tell_repeats(all_of_them=True)
    logger.info("the worker has stopped; unfinished tasks are back in their queues")
