"""Pictures that lie beside the music: an album's cover, an artist's image."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from backend_worker.library import discs
from backend_worker.library.artwork import MAX_PICTURE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ALBUM_NAMES = ("cover", "folder", "front", "album")
ARTIST_NAMES = ("artist",)
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")


def album_images(directories: Sequence[str], *, multi_disc: bool = False) -> Iterator[str]:
    """Yield the pictures that may be an album's cover, the best first.

    Args:
        directories: the folders of the album's tracks.
        multi_disc: tags say that the album has several discs: then the one folder above all
            of them counts too, whatever they are called.

    Each folder is looked at for ``ALBUM_NAMES`` in that order, then the folder above discs
    (``Album/CD1``). Case does not matter. Links are not followed: they may lead anywhere.
    What is empty, too large or cannot be read is left out.
    """
    folders = dict.fromkeys(directories)
    folders |= dict.fromkeys(_album_folder(directory) for directory in directories)
    above = {os.path.dirname(directory) for directory in directories}
    if multi_disc and len(directories) > 1 and len(above) == 1:
        folders |= dict.fromkeys(above)
    yield from _images(folders, ALBUM_NAMES)


def artist_images(album_directories: Iterable[str]) -> Iterator[str]:
    """Yield the pictures called ``artist`` in the folders above an artist's albums.

    Args:
        album_directories: the folders of the tracks of the artist's albums.
    """
    above = (os.path.dirname(_album_folder(directory)) for directory in album_directories)
    yield from _images(dict.fromkeys(above), ARTIST_NAMES)


def read_image(path: str) -> bytes:
    """Return a picture's bytes.

    Raises:
        OSError: it cannot be read, or has grown too large since it was listed.
    """
    with open(path, "rb") as file:
        data = file.read(MAX_PICTURE_BYTES + 1)
    if len(data) > MAX_PICTURE_BYTES:
        raise OSError(f"{path!r} is larger than {MAX_PICTURE_BYTES // 2**20} MiB")
    return data


def _album_folder(directory: str) -> str:
    return discs.of_folder(directory).album


def _images(folders: Iterable[str], names: Sequence[str]) -> Iterator[str]:
    wanted = {
        name + suffix: (rank, SUFFIXES.index(suffix))
        for rank, name in enumerate(names)
        for suffix in SUFFIXES
    }
    for folder in folders:
        found = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    rank = wanted.get(entry.name.lower())
                    if rank is not None and _is_usable(entry):
                        found.append((rank, entry.name, entry.path))
        except OSError:
            continue  # gone or closed to us: there is no picture to be had
        yield from (path for _, _, path in sorted(found))


def _is_usable(entry: os.DirEntry[str]) -> bool:
    if not entry.is_file(follow_symlinks=False):
        return False
    return 0 < entry.stat(follow_symlinks=False).st_size <= MAX_PICTURE_BYTES
