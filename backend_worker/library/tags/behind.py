"""A file seen from a place in it on: for readers that know of nothing before the audio."""

from __future__ import annotations

import errno
import os
from typing import BinaryIO


class Behind:
    """What mutagen needs of a file object, with ``start`` as its beginning."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self.name = file.name
        self._file = file
        self._start = start
        file.seek(start)

    def read(self, size: int = -1) -> bytes:
        """Read at most so many bytes, all of them if none are given."""
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place.

        Raises:
            OSError: it lies before the beginning (EINVAL, as of a real file).
        """
        if whence == os.SEEK_CUR:
            offset += self.tell()
        elif whence == os.SEEK_END:
            offset += self._file.seek(0, os.SEEK_END) - self._start
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return self._file.seek(self._start + offset) - self._start

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell() - self._start
