"""Walking a music folder: every audio file once, in the order of its path's bytes.

That order is the database's too (``bytea`` compares by byte), so one pass over both tells
new, changed and vanished files apart in constant memory.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from backend_worker.library.left_out import is_a_program_s, is_system_folder
from backend_worker.library.model import mtime_of
from backend_worker.library.paths import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

NO_MEDIA = b".nomedia"  # Android's mark: nothing in here or below
IGNORE_FILE = b".ndignore"  # Navidrome's: patterns as in .gitignore; empty: nothing in here

# PostgreSQL's index takes entries of up to 2,704 bytes, and the kernel paths of 4,096.
LONGEST_PATH = 2500

# So many of what is left out are named.
MOST_NAMED = 100

# Entries of a folder between two words about what is looked at.
LOOKS = 100

Found = tuple[bytes, int, int]  # path, size in bytes, mtime in ns


class RootUnusableError(Exception):
    """The folder cannot be walked at all; the message says why."""


@dataclass(slots=True)
class Walk:
    """One walk over a folder; iterate over :meth:`files`, then look at what it met.

    Not followed: links to what lies within the folder (it is found at its own place), and
    links to a folder that was reached already. Left out, and counted, is what is known to be a
    program's own; other names with a leading dot are names.
    """

    root: bytes
    extensions: Collection[bytes]  # lower case, with the dot
    directories: int = 0
    other_files: int = 0  # regular files that are not music
    left_out: int = 0  # audio files and folders that are a program's own by name
    left_out_paths: list[bytes] = field(default_factory=list)  # the first of them
    errors: list[tuple[bytes, str]] = field(default_factory=list)  # (path, reason)
    mount_points: dict[bytes, int] = field(default_factory=dict)  # path → device
    # is told what is looked at next: a disk may not answer
    look: Callable[[bytes], None] = lambda _: None
    _linked: set[tuple[int, int]] = field(default_factory=set)
    _real_root: bytes = b""

    def files(self) -> Iterator[Found]:
        """Yield (path, size, mtime_ns) of every audio file.

        Raises:
            RootUnusableError: the root is missing, unreadable or not a folder.
        """
        self._real_root = os.path.realpath(self.root)
        try:
            status = os.stat(self.root)
            parent_device = os.stat(os.path.join(self._real_root, b"..")).st_dev
            os.scandir(self.root).close()
        except OSError as error:
            raise RootUnusableError(f"{shown(self.root)}: {error.strerror}") from error
        if status.st_dev != parent_device:
            self.mount_points[self.root] = status.st_dev
        yield from self._descend(status.st_dev)
        self._check_still_mounted(status)

    def _descend(self, root_device: int) -> Iterator[Found]:
        # A stack instead of recursion: folders may be nested deeper than Python's limit.
        stack = [self._entries(self.root, root_device, ())]
        while stack:
            for item in stack[-1]:
                if isinstance(item, _Folder):
                    stack.append(self._entries(item.path, item.device, item.ignored))
                    break
                yield item
            else:
                stack.pop()

    def _entries(
        self, folder: bytes, device: int, ignored: tuple[_IgnoreRules, ...]
    ) -> Iterator[Found | _Folder]:
        self.look(folder)
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            # also a folder that vanished since its parent was read: perhaps a whole disk
            self.errors.append((folder, error.strerror or str(error)))
            return
        self.directories += 1
        names = {entry.name for entry in entries if entry.name.startswith(b".")}
        if NO_MEDIA in names:
            return
        if IGNORE_FILE in names:
            rules = _IgnoreRules.read(folder)
            if rules is None:
                return
            ignored = (*ignored, rules)
        for _, entry, is_folder in self._sorted(entries):
            if ignored and any(rules.match(entry.path, is_folder=is_folder) for rules in ignored):
                continue
            item = self._folder(entry, device, ignored) if is_folder else self._file(entry)
            if item is not None:
                yield item

    def _sorted(
        self, entries: list[os.DirEntry[bytes]]
    ) -> list[tuple[bytes, os.DirEntry[bytes], bool]]:
        """Return (sort key, entry, whether a folder); folders sort as their children do."""
        rows = []
        for number, entry in enumerate(entries, 1):
            name = entry.name
            if number % LOOKS == 0:
                self.look(entry.path)
            is_audio = name[name.rfind(b".") :].lower() in self.extensions
            is_dotted = name.startswith(b".")
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                if error.errno != errno.ELOOP:  # a loop of links leads to nothing to miss
                    self.errors.append((entry.path, error.strerror or str(error)))
                continue
            if not is_folder and not is_audio:
                self.other_files += not is_dotted
            elif is_a_program_s(name) if is_dotted else is_folder and is_system_folder(name):
                self._leave_out(entry.path)
            else:
                rows.append((name + b"/" if is_folder else name, entry, is_folder))
        rows.sort(key=_sort_key)
        return rows

    def _leave_out(self, path: bytes) -> None:
        self.left_out += 1
        if len(self.left_out_paths) < MOST_NAMED:
            self.left_out_paths.append(path)

    def _file(self, entry: os.DirEntry[bytes]) -> Found | None:
        if len(entry.path) > LONGEST_PATH:
            reason = f"a path of more than {LONGEST_PATH} bytes cannot be stored"
            self.errors.append((entry.path[:LONGEST_PATH], reason))
            return None
        try:
            if entry.is_symlink() and self._within_root(entry.path):
                return None
            status = entry.stat()
        except FileNotFoundError:
            return None  # removed since its folder was read, or a link to nowhere
        except OSError as error:
            self.errors.append((entry.path, error.strerror or str(error)))
            return None
        if not stat.S_ISREG(status.st_mode):
            self.other_files += 1  # a FIFO or device: opening it might never end
            return None
        return entry.path, status.st_size, mtime_of(status)

    def _folder(
        self, entry: os.DirEntry[bytes], device: int, ignored: tuple[_IgnoreRules, ...]
    ) -> _Folder | None:
        try:
            is_link = entry.is_symlink()
            status = entry.stat()
        except OSError as error:
            self.errors.append((entry.path, error.strerror or str(error)))
            return None
        if is_link:
            identity = (status.st_dev, status.st_ino)
            if identity in self._linked or self._within_root(entry.path):
                return None
            self._linked.add(identity)
        elif status.st_dev != device:
            self.mount_points[entry.path] = status.st_dev
        return _Folder(entry.path, status.st_dev, ignored)

    def _within_root(self, link: bytes) -> bool:
        target = os.path.realpath(link) + b"/"
        root = self._real_root.rstrip(b"/") + b"/"
        # a folder above the root contains it: following the link would never end
        return target.startswith(root) or root.startswith(target)

    def _check_still_mounted(self, at_start: os.stat_result) -> None:
        """Note what was unmounted or exchanged while we walked: its files are not gone."""
        expected = {**self.mount_points, self.root: at_start.st_dev}
        for path, device in expected.items():
            try:
                now = os.stat(path).st_dev
            except OSError:
                now = None
            if now != device:
                self.errors.append((path, "was unmounted during the scan"))


@dataclass(frozen=True, slots=True)
class _Folder:
    path: bytes
    device: int
    ignored: tuple[_IgnoreRules, ...]


@dataclass(frozen=True, slots=True)
class _IgnoreRules:
    folder: bytes
    matches: Callable[[str], bool]

    @classmethod
    def read(cls, folder: bytes) -> _IgnoreRules | None:
        """Read a folder's ignore file; None says to ignore the folder altogether.

        A file that cannot be read counts as empty: rather too little than what the owner
        wanted hidden.
        """
        try:
            with open(
                os.path.join(folder, IGNORE_FILE), encoding="utf-8", errors="replace"
            ) as file:
                lines = [line for line in file.read().splitlines() if line.strip()]
        except OSError:
            return None
        if not lines:
            return None
        import pathspec  # noqa: PLC0415 - few libraries have such a file

        spec = pathspec.PathSpec.from_lines("gitignore", lines)
        return cls(folder, spec.match_file)

    def match(self, path: bytes, *, is_folder: bool) -> bool:
        relative = os.fsdecode(path[len(self.folder.rstrip(b"/")) + 1 :])
        return self.matches(relative + "/" if is_folder else relative)


def _sort_key(row: tuple[bytes, os.DirEntry[bytes], bool]) -> bytes:
    return row[0]
