"""The files that are scanned: made-up libraries, fresh views of them, and changes to one."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Every program reads these, and mutagen writes their titles under one name.
_CHANGEABLE = (".mp3", ".flac", ".ogg", ".opus", ".m4a")
_DROP_CACHES = "/proc/sys/vm/drop_caches"


def made_up(cache: Path, tracks: int) -> Path:
    """Return a library of that many readable tracks; it is made once and kept in the cache.

    Without the broken files: not every program lives through a FIFO.
    """
    from backend_worker.library.sample import make_library  # noqa: PLC0415 - settings come first

    root = cache / "music" / str(tracks)
    make_library(str(root), tracks=tracks, broken=False, processes=os.cpu_count() or 1)
    return root


@contextmanager
def view_of(library: Path, folder: Path) -> Iterator[Path]:
    """A folder with hard links to the library's files, which may be replaced without harm."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(library, folder, copy_function=os.link, symlinks=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def audio_files(folder: Path) -> list[bytes]:
    """Return the paths of the audio files below a folder, in a fixed order."""
    from backend_worker.library.tags import AUDIO_EXTENSIONS  # noqa: PLC0415 - as above

    return sorted(
        os.path.join(parent, name)
        for parent, _, names in os.walk(os.fsencode(folder))
        for name in names
        if os.path.splitext(name)[1].lower() in AUDIO_EXTENSIONS
    )


def change_one_percent(view: Path) -> int:
    """Give one in a hundred tracks, at least one, another title and return how many.

    Each is replaced as a whole, as taggers do, with a time of modification a minute ago: files
    that were written just now are left alone by our scan.
    """
    import mutagen  # noqa: PLC0415 - as above

    files = [path for path in audio_files(view) if os.fsdecode(path).lower().endswith(_CHANGEABLE)]
    wanted = max(1, len(files) // 100)
    minute_ago = time.time() - 60
    for path in files[:: len(files) // wanted][:wanted]:
        new = path + b".new" + os.path.splitext(path)[1]
        shutil.copyfile(path, new)
        tags = mutagen.File(os.fsdecode(new), easy=True)
        tags["title"] = ["Changed by the benchmark"]
        tags.save()
        os.utime(new, (minute_ago, minute_ago))
        os.replace(new, path)
    return wanted


def warm(folder: Path) -> None:
    """Read every file, so that the page cache holds them all."""
    for parent, _, names in os.walk(os.fsencode(folder)):
        for name in names:
            with suppress(OSError), open(os.path.join(parent, name), "rb") as file:
                while file.read(1 << 20):
                    pass


def can_drop_caches() -> bool:
    """Say whether this user may empty the page cache."""
    return os.access(_DROP_CACHES, os.W_OK)


def drop_caches() -> None:
    """Write what is dirty and empty the page cache, the names and the inodes.

    Raises:
        PermissionError: only root may.
    """
    os.sync()
    with open(_DROP_CACHES, "w", encoding="ascii") as file:
        file.write("3")
