"""What takes minutes: ``make chaos``."""

from tests.support.fixtures import library, sample, small_batches, undisturbed

__all__ = ["library", "sample", "small_batches", "undisturbed"]
