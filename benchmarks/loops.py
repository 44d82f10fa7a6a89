"""The bare loops: what it costs at least to look at every file of a folder.

``python -m benchmarks.loops walk|read|tags FOLDER [PROCESSES]``
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_BYTES = 64 * 1024
_FILES_PER_JOB = 250


def files(folder: str) -> Iterator[str]:
    """Yield every file below the folder, after a look at its size and time."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from files(entry.path)
        else:
            entry.stat()
            yield entry.path


def read_head(path: str) -> None:
    """Read the first 64 kB of a file."""
    with open(path, "rb") as file:
        file.read(READ_BYTES)


def read_tags(path: str) -> None:
    """Let mutagen read tags and audio properties, of whatever kind the file is."""
    import mutagen  # noqa: PLC0415 - the other loops do without

    with suppress(mutagen.MutagenError):  # a mislabelled file, read by its name
        mutagen.File(path)


def main(kind: str, folder: str, processes: str = "1") -> None:
    """Run one loop over the folder."""
    if kind == "walk":
        for _ in files(folder):
            pass
        return
    work = {"read": read_head, "tags": read_tags}[kind]
    if processes == "1":
        for path in files(folder):
            work(path)
        return
    with multiprocessing.Pool(int(processes)) as pool:
        for _ in pool.imap_unordered(work, files(folder), _FILES_PER_JOB):
            pass
        pool.close()
        pool.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
