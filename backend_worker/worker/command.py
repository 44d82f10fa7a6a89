"""The worker's command line, from the queue table and the settings: the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from backend_worker.config import Config

NODE_NAME = "celery-worker"


def worker_arguments(config: Config) -> list[str]:
    """Return what follows ``celery -A backend_worker.celery_app``.

    The demo, the tests and the systemd unit all start the worker with it.
    """
    return [
        "worker",
        f"--autoscale={config.autoscale_max},{config.autoscale_min}",
        # served in this order (worker/fairness.py)
        f"--queues={','.join(QUEUE_NAMES)}",
        f"--hostname={NODE_NAME}@%h",
        f"--loglevel={config.log_level}",
        # Without gossip and mingle an idle worker wakes up less; the heartbeat is an option
        # of the worker, not a setting, and counted in seconds.
        "--without-gossip",
        "--without-mingle",
        f"--heartbeat-interval={config.heartbeat_interval}",
    ]


def run_worker(config: Config) -> None:
    """Run the worker in this process until it is told to stop."""
    from backend_worker.celery_app import app  # noqa: PLC0415 - only here is it needed

    app.worker_main(worker_arguments(config))
