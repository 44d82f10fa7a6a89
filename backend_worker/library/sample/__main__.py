"""Command line: ``python -m backend_worker.library.sample ROOT --tracks N``."""

from __future__ import annotations

import argparse
import os
import sys

from backend_worker.library.sample.library import make_library


def main() -> int:
    """Make a sample library and say what is in it; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m backend_worker.library.sample", description="Make a sample music library."
    )
    parser.add_argument("root", help="folder to make; empty, or one made with the same options")
    parser.add_argument("--tracks", type=int, default=240, help="readable tracks (240)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same files (1)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="(all cores)")
    parser.add_argument("--no-broken", action="store_true", help="without the broken files")
    options = parser.parse_args()
    try:
        summary = make_library(
            options.root,
            tracks=options.tracks,
            seed=options.seed,
            broken=not options.no_broken,
            processes=options.processes,
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 1
    formats = ", ".join(f"{count} {name}" for name, count in sorted(summary.formats.items()))
    sys.stdout.write(
        f"{options.root}: {summary.tracks} tracks on {summary.albums} albums by "
        f"{summary.artists} artists ({formats}), {len(summary.unreadable)} unreadable files\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
