"""What the worker's bootsteps have in common."""

from __future__ import annotations

from celery import bootsteps


class Step(bootsteps.StartStopStep):
    """A step of the worker or of its consumer, started after those that it requires."""

    requires: tuple[str, ...] = ()  # type: ignore[assignment] # Celery's own says "of none"
