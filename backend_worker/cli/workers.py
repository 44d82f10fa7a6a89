"""Asking running workers how they are, through Celery's remote control."""

from __future__ import annotations

from typing import Any

from backend_worker.celery_app import app

ANSWER_SECONDS = 1.0


def worker_answers(timeout: float = ANSWER_SECONDS) -> bool:
    """Say whether any worker answers within so many seconds.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    return bool(app.control.ping(timeout=timeout, limit=1))


def running_workers() -> list[dict[str, Any]]:
    """Return name, pid, processes and finished tasks of each worker that answers.

    Raises:
        kombu.exceptions.OperationalError: Redis is away.
    """
    answers = app.control.inspect(timeout=ANSWER_SECONDS, limit=1).stats() or {}
    return [
        {
            "name": name,
            "pid": stats["pid"],
            "processes": len(stats["pool"]["processes"]),
            "max_processes": (stats.get("autoscaler") or {}).get("max")
            or stats["pool"]["max-concurrency"],
            "tasks_done": sum(stats["total"].values()),
            "uptime_seconds": stats["uptime"],
        }
        for name, stats in sorted(answers.items())
    ]
