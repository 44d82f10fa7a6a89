"""Signals and bootsteps of the worker; Celery imports this module when a worker starts."""

from __future__ import annotations

import gc
import logging
from typing import Any

from celery import signals
from celery.concurrency import prefork
from kombu.transport import redis as redis_transport

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.worker import logs
from backend_worker.worker.messages import TolerantChannel
from backend_worker.worker.pool import SteadyPool
from backend_worker.worker.recovery import GiveBackAfterReconnect, GiveBackOrphans, LookAfterWork

logger = logging.getLogger(__name__)

app.steps["worker"].add(GiveBackOrphans)
app.steps["consumer"].update((GiveBackAfterReconnect, LookAfterWork))
redis_transport.Transport.Channel = TolerantChannel
prefork.TaskPool.Pool = SteadyPool


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.set_up(get_config().log_level)


@signals.worker_init.connect
def _freeze(**_: Any) -> None:
    """Keep the collector off what the task modules brought along, before children are forked.

    They share those pages with the parent then: a collection in a child would write to each
    object's header and so copy its page.
    """
    gc.collect()
    gc.freeze()


@signals.worker_init.connect
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


@signals.worker_process_init.connect
def _declare_no_queues(**_: Any) -> None:
    """Leave it to the parent, which declares all queues when it connects.

    When the connection breaks while a sender declares its queue, kombu 5.7 goes on with the
    closed channel (AttributeError: 'NoneType' object has no attribute 'client').
    """
    for queue in app.amqp.queues.values():
        queue.no_declare = True


@signals.worker_shutdown.connect
def _say_goodbye(**_: Any) -> None:
    logger.info("the worker has stopped; unfinished tasks are back in their queues")
