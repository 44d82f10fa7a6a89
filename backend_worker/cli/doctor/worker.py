"""The worker: whether one answers, and serves every queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Check, Finding
from backend_worker.queues import QUEUE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

_HANGS = ("Redis is silent, or the worker", "journalctl -u celery-worker")


def check() -> Check:
    """Return the look at the worker."""
    return Check("worker", _look, _HANGS)


def _look() -> Iterator[Finding]:
    import redis  # noqa: PLC0415 - a missing package is a finding of program

    from backend_worker.celery_app import app  # noqa: PLC0415 - as above
    from backend_worker.progress.connection import check_redis  # noqa: PLC0415 - as above

    try:
        check_redis()
    except redis.RedisError:
        yield Finding("warning", "worker", "cannot be asked without Redis")
        return
    answers = app.control.inspect(timeout=1.0).active_queues() or {}
    if not answers:
        yield Finding(
            "warning", "worker", "none answers", "systemctl status celery-worker; start it"
        )
    for name, queues in answers.items():
        missing = set(QUEUE_NAMES) - {queue["name"] for queue in queues}
        if missing:
            yield Finding(
                "warning", "worker", f"{name} does not serve {', '.join(sorted(missing))}"
            )
        else:
            yield Finding("ok", "worker", f"{name} serves all {len(QUEUE_NAMES)} queues")
