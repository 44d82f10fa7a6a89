"""The worker's command line, from the queue table and the settings: the same everywhere."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from celery import Celery

    from backend_worker.config import Config

NODE_NAME = "celery-worker"
PING_SECONDS = 1.0


class WorkerRunsError(RuntimeError):
    """Another worker of this name serves the same Redis."""


def worker_arguments(config: Config) -> list[str]:
    """Return what follows ``celery -A backend_worker.celery_app``.

    The demo, the tests and the systemd unit all start the worker with it.
    """
    return [
        "worker",
        f"--autoscale={config.autoscale_max},{config.autoscale_min}",
        # served in this order (queue_order_strategy: priority)
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
    """Run the worker in this process until it is told to stop.

    Raises:
        WorkerRunsError: it runs already. Two would do nothing wrong, but need twice the memory.
    """
    from backend_worker.celery_app import app  # noqa: PLC0415 - only here is it needed

    name = f"{NODE_NAME}@{socket.gethostname()}"
    if _answers(app, name):
        raise WorkerRunsError(
            f"a worker {name} runs already and serves this Redis: look at it with "
            "`systemctl status celery-worker` or `backend-worker status`; "
            "stop it before you start another"
        )
    app.worker_main(worker_arguments(config))


def _answers(app: Celery, name: str) -> bool:
    """Ask the worker of this name, if Redis can be reached: a worker waits for it by itself."""
    import kombu.exceptions  # noqa: PLC0415 - as above
    import redis.exceptions  # noqa: PLC0415

    try:
        with app.connection_for_read(connect_timeout=PING_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, timeout=PING_SECONDS)
            return bool(
                app.control.ping(destination=[name], timeout=PING_SECONDS, connection=connection)
            )
    except (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError):
        return False
