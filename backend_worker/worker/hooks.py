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
def _preload(**_: Any) -> None:
    """Import in the parent what every child needs, and keep the collector off those pages.

    Children share them with the parent then: a collection in a child would write to each
    object's header and so copy its page.
    """
    import mutagen.aiff  # noqa: PLC0415 - the formats that mutagen imports late
    import mutagen.flac  # noqa: PLC0415
    import mutagen.mp3  # noqa: PLC0415
    import mutagen.mp4  # noqa: PLC0415
    import mutagen.oggopus  # noqa: PLC0415
    import mutagen.oggvorbis  # noqa: PLC0415
    import mutagen.wave  # noqa: F401, PLC0415

    gc.collect()
    gc.freeze()


@signals.worker_shutdown.connect
def _say_goodbye(**_: Any) -> None:
    logger.info("the worker has stopped; unfinished tasks are back in their queues")
