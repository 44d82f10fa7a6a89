"""Signals and bootsteps of the worker; Celery imports this module when a worker starts."""

from __future__ import annotations

import gc
import logging
from typing import Any

from celery import signals

from backend_worker.celery_app import app
from backend_worker.config import get_config
from backend_worker.worker import logs
from backend_worker.worker.recovery import GiveBackOrphans

logger = logging.getLogger(__name__)

app.steps["worker"].add(GiveBackOrphans)


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


@signals.worker_shutdown.connect
def _say_goodbye(**_: Any) -> None:
    logger.info("the worker has stopped; unfinished tasks are back in their queues")
