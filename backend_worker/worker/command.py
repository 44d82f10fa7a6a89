"""How the worker is started, from the queue table and the settings: the same everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from backend_worker.config import Config

NODE_NAME = "celery-worker"


def worker_options(config: Config) -> dict[str, Any]:
    """Return the worker's options by the names that Celery's ``Worker`` has for them."""
    return {
        "autoscale": (config.autoscale_max, config.autoscale_min),
        # served in this order (queue_order_strategy: priority)
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
    """
    from celery.utils.nodenames import host_format  # noqa: PLC0415 - only here is it needed

    from backend_worker.celery_app import app  # noqa: PLC0415

    options = worker_options(config)
    hostname = host_format(options.pop("hostname"))
    app.Worker(hostname=hostname, quiet=True, **options).start()
