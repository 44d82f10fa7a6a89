"""What integration tests share: an empty library, and a worker like the Pi's."""

from tests.support.fixtures import library, sample, small_batches, traps, undisturbed, worker

__all__ = ["library", "sample", "small_batches", "traps", "undisturbed", "worker"]
