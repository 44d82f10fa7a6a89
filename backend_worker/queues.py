"""The queues and the tasks: the one table that configuration, ``-Q``, docs and tests use."""

from __future__ import annotations

from dataclasses import dataclass

# What we have in Redis to ourselves. By Celery's own names for these, the workers of any other
# Celery program in the same database would answer when ours are asked how they are, and what
# each has taken would lie on one heap. The queues keep their names: clients send to them.
CONTROL_EXCHANGE = "backend_worker"
EVENT_EXCHANGE = "backend_worker.events"
# kombu keeps what was taken and not yet acknowledged in a hash, and beside it when that was
UNACKED_KEY = "backend_worker:unacked"
UNACKED_INDEX_KEY = f"{UNACKED_KEY}:index"
UNACKED_MUTEX_KEY = f"{UNACKED_KEY}:mutex"


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """One queue: what bounds its tasks, how urgent they are, what runs in it."""

    name: str
    bound_by: str
    urgency: str  # "high", "medium" or "low"
    purpose: str
    tasks: tuple[str, ...]


# In the order in which the worker serves them (worker/fairness.py): later stages before earlier
# ones, so that a scan's backlog stays small, and high before medium before low.
QUEUES: tuple[QueueSpec, ...] = (
    QueueSpec(
        "insert",
        "database",
        "high",
        "one transaction per batch",
        # what stops a scan does not wait for its batches
        ("insert.direct_batch", "scan.revoked"),
    ),
    QueueSpec(
        "batch", "memory", "high", "group into artists and albums", ("batch.process_entities",)
    ),
    QueueSpec(
        "extract",
        "CPU",
        "high",
        "read tags and audio properties, group and store them",
        ("metadata.extract_batch",),
    ),
    QueueSpec(
        "scan",
        "I/O",
        "high",
        "find new, changed, moved and gone files",
        ("scan.discovery", "scan.finish"),
    ),
    QueueSpec(
        "vector",
        "CPU",
        "medium",
        "similarity vectors",
        ("vectorization.calculate", "vectorization.pending"),
    ),
    QueueSpec(
        "deferred",
        "mixed",
        "low",
        "enrichment that can wait",
        ("metadata.enrich_batch", "vectorization.artists"),
    ),
    QueueSpec(
        "covers",
        "remote API",
        "low",
        "album covers and artist images",
        ("covers.process_album_covers", "covers.process_artist_images", "covers.extract_embedded"),
    ),
    QueueSpec(
        "maintenance",
        "light",
        "low",
        "clean-up, integrity, retention, statistics",
        (
            "maintenance.purge_gone",
            "maintenance.purge_orphans",
            "maintenance.check_integrity",
            "maintenance.retry_failed",
            "maintenance.analyze",
            "maintenance.trim_progress",
            "maintenance.statistics",
            "maintenance.resume_scans",
            "maintenance.fill_gaps",
            "maintenance.canary",  # sent through every queue, to see whether it comes back
        ),
    ),
)

QUEUE_NAMES: tuple[str, ...] = tuple(queue.name for queue in QUEUES)
TASK_QUEUE: dict[str, str] = {task: queue.name for queue in QUEUES for task in queue.tasks}
MAINTENANCE_TASKS: tuple[str, ...] = next(q.tasks for q in QUEUES if q.name == "maintenance")


def task_routes() -> dict[str, dict[str, str]]:
    """Return Celery's ``task_routes``: exact names, then patterns for names still to come."""
    routes = {task: {"queue": queue} for task, queue in TASK_QUEUE.items()}
    patterns = {
        "scan.*": "scan",
        "batch.*": "batch",
        "insert.*": "insert",
        "vectorization.*": "vector",
        "covers.*": "covers",
        "metadata.*": "deferred",
        "maintenance.*": "maintenance",
    }
    return routes | {pattern: {"queue": queue} for pattern, queue in patterns.items()}
