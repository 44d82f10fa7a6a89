"""How the worker is started, from the queue table and the settings: the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from celery import Celery

    from backend_worker.config import Config

NODE_NAME = "celery-worker"
PING_SECONDS = 1.0


class WorkerRunsError(RuntimeError):
    """Another worker of this name serves the same Redis."""


def worker_options(config: Config) -> dict[str, Any]:
    """Return the worker's options by the names that Celery's ``Worker`` has for them."""
    return {
        "autoscale": (config.autoscale_max, config.autoscale_min),
        # served in this order (worker/fairness.py)
        "queues": list(QUEUE_NAMES),
        "hostname": f"{NODE_NAME}@%h",
        "loglevel": config.log_level,
        # Without gossip and mingle an idle worker wakes up less; the heartbeat is an option
        # of the worker, not a setting, and counted in seconds.
        "without_gossip": True,
        "without_mingle": True,
        "heartbeat_interval": config.heartbeat_interval,
    }


def worker_arguments(config: Config) -> list[str]:
    """Return the same for the shell: what follows ``celery -A backend_worker.celery_app``."""
    arguments = ["--quiet", "worker"]
    for name, value in worker_options(config).items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            arguments.append(option)
        elif isinstance(value, list | tuple):
            arguments.append(f"{option}={','.join(map(str, value))}")
        else:
            arguments.append(f"{option}={value}")
    return arguments


def run_worker(config: Config) -> None:
    """Run the worker in this process until it is told to stop.

    Without Celery's command line, which loads its shell, and Flower where it is installed:
    9 MB in each process and half a second.

    Raises:
        WorkerRunsError: it runs already. Two would do nothing wrong, but need twice the memory.
    """
    from celery.utils.nodenames import host_format  # noqa: PLC0415 - only here is it needed

    from backend_worker.celery_app import app  # noqa: PLC0415 - as above

    # Our own channel first: kombu looks after what other workers have taken with each connection.
    app.loader.import_default_modules()
    options = worker_options(config)
    name = host_format(options.pop("hostname"))
    if _answers(app, name):
        raise WorkerRunsError(
            f"a worker {name} runs already and serves this Redis: look at it with "
            "`systemctl status celery-worker` or `backend-worker status`; "
            "stop it before you start another"
        )
    app.Worker(hostname=name, quiet=True, **options).start()


def _answers(app: Celery, name: str) -> bool:
    """Ask the worker of this name, if Redis can be reached: a worker waits for it by itself."""
    import kombu.exceptions  # noqa: PLC0415 - as above
    import redis.exceptions  # noqa: PLC0415 - as above

    try:
        with app.connection_for_read(connect_timeout=PING_SECONDS) as connection:
            connection.ensure_connection(max_retries=1, timeout=PING_SECONDS)
            return bool(
                app.control.ping(destination=[name], timeout=PING_SECONDS, connection=connection)
            )
    except (kombu.exceptions.OperationalError, redis.exceptions.RedisError, OSError):
        return False
