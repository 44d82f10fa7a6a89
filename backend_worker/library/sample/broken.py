"""The files of the sample library that a scan must report or pass over."""

from __future__ import annotations

import os
import random

from backend_worker.library.model import TrackRecord
from backend_worker.library.sample.plan import PlannedTrack
from backend_worker.library.sample.writer import render, template

FOLDER = "Broken"

# look like tracks and are none
UNREADABLE = (
    f"{FOLDER}/empty.mp3",
    f"{FOLDER}/picture.mp3",
    f"{FOLDER}/random.flac",
    f"{FOLDER}/truncated.m4a",
)
# kind → path relative to the root
IGNORED = {
    "text": f"{FOLDER}/notes.txt",
    "hidden": f"{FOLDER}/.hidden.mp3",
    "nomedia": "Memos/memo.mp3",
    "ndignore": "Drafts/draft.mp3",
    "symlink_loop": "Loop/again",
    "fifo": f"{FOLDER}/pipe.mp3",
}
MARKERS = ("Memos/.nomedia", "Drafts/.ndignore")


def unreadable_files(picture: bytes) -> dict[str, bytes]:
    """Return the contents of :data:`UNREADABLE`, by path.

    Args:
        picture: a JPEG file.
    """
    rng = random.Random(0)  # noqa: S311 - noise, not secrets
    # Without 0xFF, so that no reader can take it for the start of an MPEG frame.
    noise = bytes(rng.randrange(255) for _ in range(4096))
    whole = template("tone", "aac")
    return dict(zip(UNREADABLE, (b"", picture, noise, whole[: len(whole) // 2]), strict=True))


def ignored_files() -> dict[str, bytes]:
    """Return the contents of the files that a scan passes over, and of what tells it to."""
    files = dict.fromkeys(MARKERS, b"")
    files[IGNORED["text"]] = b"Not music.\n"
    for kind in ("hidden", "nomedia", "ndignore"):
        record = TrackRecord(
            path=IGNORED[kind],
            size=0,
            mtime_ns=0,
            fingerprint="",
            title=f"Must not be found ({kind})",
            artists=["Nobody At All"],
        )
        files[record.path] = render(PlannedTrack(record, "mp3", "tone", ()))
    return files


def make_special_files(root: str) -> list[str]:
    """Make the symbolic link that leads back to the root, and the FIFO named like a track.

    Returns:
        The kinds (keys of :data:`IGNORED`) that were made; a file system may know neither.
    """
    made = []
    link = os.path.join(root, IGNORED["symlink_loop"])
    fifo = os.path.join(root, IGNORED["fifo"])
    os.makedirs(os.path.dirname(link), exist_ok=True)
    for kind, path, make in (
        ("symlink_loop", link, lambda: os.symlink("..", link)),
        ("fifo", fifo, lambda: os.mkfifo(fifo)),
    ):
        try:
            if not os.path.lexists(path):
                make()
        except (OSError, AttributeError):  # FAT knows no links, Windows no mkfifo
            continue
        made.append(kind)
    return made
