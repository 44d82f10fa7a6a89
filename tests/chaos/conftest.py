"""What takes minutes: ``make chaos``."""

from tests.support.fixtures import (
    library,
    made_once,
    sample,
    shared_worker,
    small_batches,
    undisturbed,
)

__all__ = ["library", "made_once", "sample", "shared_worker", "small_batches", "undisturbed"]
