"""What integration tests share: an empty library, and a worker like the Pi's."""

from tests.support.fixtures import (
    library,
    made_once,
    sample,
    shared_worker,
    small_batches,
    traps,
    undisturbed,
    worker,
    worker_log,
)

__all__ = [
    "library",
    "made_once",
    "sample",
    "shared_worker",
    "small_batches",
    "traps",
    "undisturbed",
    "worker",
    "worker_log",
]
