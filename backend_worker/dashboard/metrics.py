"""Figures of the moment in Prometheus' text format: those of ``backend-worker status``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from backend_worker.cli import prometheus
from backend_worker.dashboard.errors import Refusal

if TYPE_CHECKING:
    from backend_worker.dashboard.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def as_text(services: Services) -> str:
    """Return all figures; those of a server that is away are left out."""
    watch = services.watch
    answers = await asyncio.gather(
        watch.workers.get(),
        watch.queues.get(),
        watch.totals.get(),
        watch.scans.get(),
        return_exceptions=True,
    )
    workers, queues, totals, running = map(_known, answers)
    report: dict[str, Any] = {
        "workers": workers or [],
        "queues": queues["waiting"] if queues else {},
        "under_way": queues["under_way"] if queues else None,
        "scans": running or [],
        "library": totals or {},
    }
    return "".join(
        (
            prometheus.text(report),
            _up("redis_up", "Whether Redis answers.", queues),
            _up("postgresql_up", "Whether PostgreSQL answers.", totals),
        )
    )


def _known(answer: Any) -> Any:
    """Return an answer, None for that of a server that is away."""
    if isinstance(answer, Refusal):
        return None
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _up(name: str, meaning: str, answer: Any) -> str:
    return prometheus.metric(name, "gauge", meaning, [({}, int(answer is not None))])
