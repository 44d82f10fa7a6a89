"""A sample music library of any size: invented music, real files, known figures.

It serves the demo, the tests and the benchmarks: :func:`make_library` writes the files and
tells what a correct scan must find in them.
"""

from backend_worker.library.sample.library import SampleSummary, make_library

__all__ = ["SampleSummary", "make_library"]
