"""``demo``: the whole thing on a laptop, from a folder of music to similar tracks."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.embedded import embedded_servers, embedded_worker
from backend_worker.cli.errors import Exit, UserError, check_folder

if TYPE_CHECKING:
    import argparse
    import subprocess

# A person's own music and the made-up one are kept apart.
LIBRARY_FOLDER = ".run/library"
SAMPLE_FOLDER = ".run/sample"
# Covers and vectors are made after the scan has ended; on a large library they take longer
# than anybody wants to wait for, and go on with the next run.
SETTLE_SECONDS = 60
POLL_SECONDS = 0.2
SIMILAR_SHOWN = 5


def demo(args: argparse.Namespace) -> Exit:
    """Scan a folder with servers and a worker of our own; show progress and what was found."""
    if args.music:
        check_folder(args.music)
    default = LIBRARY_FOLDER if args.music else SAMPLE_FOLDER
    folder = Path(args.embedded or default).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    music = args.music or _sample_library(folder, args)
    with embedded_servers(folder), embedded_worker(folder) as worker:
        return _scan(music, worker, folder, args)


def _sample_library(folder: Path, args: argparse.Namespace) -> str:
    from backend_worker.library.sample import make_library  # noqa: PLC0415 - only here

    root = str(folder / "music")
    if not args.json:
        output.print_line(f"sample library of {args.tracks:,} tracks in {os.path.relpath(root)}")
    try:
        make_library(root, tracks=args.tracks, processes=os.cpu_count() or 1)
    except FileExistsError as error:
        raise UserError(str(error), Exit.USAGE) from error
    return root


def _scan(
    music: str, worker: subprocess.Popen[bytes], folder: Path, args: argparse.Namespace
) -> Exit:
    # imported here because the servers' addresses are settings that are read at import
    from backend_worker.cli.follow import follow, show_summary  # noqa: PLC0415 - as said
    from backend_worker.cli.scan import start_scan  # noqa: PLC0415 - as said

    def check_worker() -> None:
        if worker.poll() is not None:
            raise UserError(f"the worker has ended; its log is {folder / 'worker.log'}")

    scan_id = start_scan(music, join=True)  # one that was interrupted goes on
    status = follow(
        scan_id,
        json_lines=args.json,
        count_processes=lambda: _children(worker.pid),
        check_worker=check_worker,
    )
    _wait_for_followers(quiet=args.json)
    if args.json:
        return Exit.OK if status.status == "completed" else Exit.FAILED
    show_summary(status)
    _show_library(folder)
    return Exit.OK if status.status == "completed" else Exit.FAILED


def _children(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return len(file.read().split())
    except OSError:
        return None


def _wait_for_followers(*, quiet: bool) -> None:
    """Wait until vectors and covers are made, but not for long."""
    from rich.console import Console  # noqa: PLC0415 - JSON output does without it

    from backend_worker.tasks import broker  # noqa: PLC0415 - as above

    deadline = time.monotonic() + SETTLE_SECONDS
    with Console(quiet=quiet).status("") as line:
        # Every queue: what stores the last batch asks for the vectors.
        while not broker.at_rest() and time.monotonic() < deadline:
            left = sum(broker.queue_lengths().values())
            line.update(f"vectors and covers: {left} batches wait")
            time.sleep(POLL_SECONDS)


def _show_library(folder: Path) -> None:
    from backend_worker.cli.library import show_tracks  # noqa: PLC0415 - as above
    from backend_worker.storage import search  # noqa: PLC0415 - as above

    output.print_facts("library", search.totals())
    track = search.any_track_with_vector()
    if track is not None:
        title = f"most like {track['title']} by {track['artist'] or 'unknown'}"
        show_tracks(title, search.similar(track["id"], SIMILAR_SHOWN), score=True)
    shown = os.path.relpath(folder)
    output.print_line(f"ask on: .venv/bin/backend-worker --embedded {shown} search WORDS")
