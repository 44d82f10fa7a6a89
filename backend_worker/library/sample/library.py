"""Writes the sample library and counts what is in it."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import itertools
import json
import os
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend_worker.library.sample import broken as broken_files
from backend_worker.library.sample.catalogue import (
    LAST_MTIME,
    album_sizes,
    cover_kind,
    generated_album,
)
from backend_worker.library.sample.plan import EMBEDDED, FORMATS, PlannedAlbum, PlannedTrack
from backend_worker.library.sample.specials import special_albums
from backend_worker.library.sample.writer import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STAMP = ".sample-library.json"
_VERSION = 1  # of the contents: a library made by another version is not taken for ours
_ALBUMS_PER_JOB = 20


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What a correct scan of a sample library must find.

    Paths are relative to the root, made by :func:`os.fsdecode`.

    Attributes:
        tracks: readable tracks, the mislabelled one included.
        albums: a compilation counts once, and so does an album of several discs; a track
            without an album tag counts as none.
        artists: artists of tracks and albums. "A feat. B" and "A; B" are two each, names that
            differ in case or Unicode form only are one, "Various Artists" is none.
        composers: composers who are not among the artists.
        formats: tracks per format: mp3, flac, ogg, opus, aac, alac, wav, aiff.
        covers: albums per place of their cover: embedded, folder, none. A track without an
            album tag is not counted.
        unreadable: files that look like tracks and cannot be read.
        ignored: files that a scan passes over, by kind: text, hidden, nomedia, ndignore,
            symlink_loop, fifo. The last two only where the file system knows them.
        mislabelled: the MP3 file named ``.flac``, if there is one.
        not_utf8: the track whose name is not UTF-8, if the file system permits one.
    """

    tracks: int
    albums: int
    artists: int
    composers: int
    formats: dict[str, int]
    covers: dict[str, int]
    unreadable: tuple[str, ...] = ()
    ignored: dict[str, str] = field(default_factory=dict)
    mislabelled: str | None = None
    not_utf8: str | None = None


@dataclass(slots=True)
class _Tally:
    """Counts while writing; those of several processes are added up."""

    tracks: int = 0
    albums: int = 0
    artists: set[str] = field(default_factory=set)
    composers: set[str] = field(default_factory=set)
    formats: Counter[str] = field(default_factory=Counter)
    covers: Counter[str] = field(default_factory=Counter)

    def count(self, album: PlannedAlbum) -> None:
        if album.title is not None:
            self.albums += 1
            self.covers[cover_kind(album.cover)] += 1
        for track in album.tracks:
            self.tracks += 1
            self.formats[track.format.removesuffix("-v23")] += 1
            self.artists.update(map(_identity, track.people))
            self.composers.update(map(_identity, track.record.composers))

    def add(self, other: _Tally) -> None:
        self.tracks += other.tracks
        self.albums += other.albums
        self.artists |= other.artists
        self.composers |= other.composers
        self.formats += other.formats
        self.covers += other.covers


def make_library(
    root: str, *, tracks: int = 240, seed: int = 1, broken: bool = True, processes: int = 1
) -> SampleSummary:
    """Write a sample library and return what a correct scan must find in it.

    The same arguments give the same bytes and modification times, whatever ``processes`` is.
    A library that was made with the same arguments is left as it is; one whose making was
    interrupted is completed.

    Args:
        root: the folder; it is made if it does not exist.
        tracks: readable tracks, 1 or more. The special ones come first, then as many
            generated albums as it takes.
        seed: another seed, another library.
        broken: add the files that a scan must report or pass over.
        processes: how many processes write.

    Raises:
        ValueError: ``tracks`` or ``processes`` is below 1.
        FileExistsError: the folder holds something else.
        OSError: writing failed.
    """
    if tracks < 1 or processes < 1:
        raise ValueError("tracks and processes must be at least 1")
    arguments = {"version": _VERSION, "tracks": tracks, "seed": seed, "broken": broken}
    summary = _earlier_summary(root, arguments)
    if summary is not None:
        return summary
    os.makedirs(root, exist_ok=True)
    _write_stamp(root, arguments)
    not_utf8 = _permits_any_bytes(root)
    specials = list(_first(special_albums(seed, mislabelled=broken, not_utf8=not_utf8), tracks))
    special_tracks = [track for album in specials for track in album.tracks]
    tally = _Tally()
    for album in specials:
        _write_album(root, seed, album)
        tally.count(album)
    rest = album_sizes(seed, tracks - tally.tracks)
    for part in _write_generated(root, seed, rest, processes):
        tally.add(part)
    summary = SampleSummary(
        tracks=tally.tracks,
        albums=tally.albums,
        artists=len(tally.artists),
        composers=len(tally.composers - tally.artists),
        formats=dict(sorted(tally.formats.items())),
        covers=dict(sorted(tally.covers.items())),
        unreadable=broken_files.UNREADABLE if broken else (),
        ignored=_write_broken(root) if broken else {},
        mislabelled=_first_path(filter(_is_mislabelled, special_tracks)),
        not_utf8=_first_path(filter(_is_not_utf8, special_tracks)),
    )
    _write_stamp(root, arguments, summary)
    _set_folder_times(root)
    return summary


def _first(albums: Iterable[PlannedAlbum], tracks: int) -> Iterator[PlannedAlbum]:
    """Yield albums until they have that many tracks; the last one may be cut."""
    for album in albums:
        if tracks <= 0:
            return
        del album.tracks[tracks:]
        tracks -= len(album.tracks)
        yield album


def _first_path(tracks: Iterable[PlannedTrack]) -> str | None:
    return next((track.record.path for track in tracks), None)


def _is_mislabelled(track: PlannedTrack) -> bool:
    return not track.record.path.endswith(FORMATS[track.format][1])


def _is_not_utf8(track: PlannedTrack) -> bool:
    # surrogateescape makes these of bytes that are not UTF-8
    return any("\udc80" <= character <= "\udcff" for character in track.record.path)


def _identity(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _write_generated(
    root: str, seed: int, sizes: Iterator[tuple[int, int]], processes: int
) -> Iterator[_Tally]:
    # Numbers travel to the other processes, not albums: they plan as well as write.
    jobs = iter(lambda: list(itertools.islice(sizes, _ALBUMS_PER_JOB)), [])
    work = functools.partial(_write_job, root, seed)
    if processes == 1:
        yield from map(work, jobs)
        return
    with concurrent.futures.ProcessPoolExecutor(processes) as executor:
        yield from executor.map(work, jobs)


def _write_job(root: str, seed: int, sizes: list[tuple[int, int]]) -> _Tally:
    tally = _Tally()
    for number, size in sizes:
        album = generated_album(seed, number, size)
        _write_album(root, seed, album)
        tally.count(album)
    return tally


def _write_album(root: str, seed: int, album: PlannedAlbum) -> None:
    cover = None
    if album.cover is not None:
        picture = _picture(f"{seed}:{album.folder}", os.path.splitext(album.cover)[1])
        if album.cover in EMBEDDED:
            cover = picture
        else:
            _write_file(root, f"{album.folder}/{album.cover}", picture, album.mtime * 10**9)
    for track in album.tracks:
        content = render(track, cover, EMBEDDED.get(album.cover or "", ""))
        _write_file(root, track.record.path, content, track.record.mtime_ns)


def _picture(seed: str, extension: str) -> bytes:
    from backend_worker.library.sample import pictures  # noqa: PLC0415 - it imports Pillow

    return pictures.picture(seed, extension)


def _write_file(root: str, path: str, content: bytes, mtime_ns: int) -> None:
    full = os.path.join(root, path)
    try:
        file = open(full, "wb")  # noqa: SIM115 - closed below; the folder is missing just once
    except FileNotFoundError:
        os.makedirs(os.path.dirname(full), exist_ok=True)
        file = open(full, "wb")  # noqa: SIM115 - as above
    with file:
        file.write(content)
    os.utime(full, ns=(mtime_ns, mtime_ns))


def _write_broken(root: str) -> dict[str, str]:
    """Write the broken and the ignored files; return the latter by kind."""
    mtime_ns = (LAST_MTIME - 3600) * 10**9
    files = broken_files.unreadable_files(_picture("broken", ".jpg"))
    for path, content in (files | broken_files.ignored_files()).items():
        _write_file(root, path, content, mtime_ns)
    special = broken_files.make_special_files(root)
    for kind in special:
        path = os.path.join(root, broken_files.IGNORED[kind])
        os.utime(path, ns=(mtime_ns, mtime_ns), follow_symlinks=False)
    absent = {"symlink_loop", "fifo"} - set(special)
    return {kind: path for kind, path in broken_files.IGNORED.items() if kind not in absent}


def _permits_any_bytes(root: str) -> bool:
    """Tell whether the file system takes a name that is not UTF-8 (HFS+, ZFS may refuse)."""
    probe = os.path.join(os.fsencode(root), b".probe-\xff")
    try:
        with open(probe, "wb"):
            pass
    except OSError:
        return False
    os.unlink(probe)
    return True


def _set_folder_times(root: str) -> None:
    """Give every folder and the stamp one time: files written into them changed it."""
    for folder, _folders, _files in os.walk(root):
        os.utime(folder, (LAST_MTIME, LAST_MTIME))
    stamp = os.path.join(root, STAMP)
    os.utime(stamp, (LAST_MTIME, LAST_MTIME))


def _write_stamp(
    root: str, arguments: dict[str, Any], summary: SampleSummary | None = None
) -> None:
    """Note what the folder holds; without a summary it is still being made."""
    content = dict(arguments)
    if summary is not None:
        content["summary"] = dataclasses.asdict(summary)
    with open(os.path.join(root, STAMP), "w", encoding="ascii") as file:
        json.dump(content, file, indent=1)


def _earlier_summary(root: str, arguments: dict[str, Any]) -> SampleSummary | None:
    """Return the summary of a finished library, None when there is one to make.

    Raises:
        FileExistsError: the folder holds something else.
    """
    try:
        with open(os.path.join(root, STAMP), encoding="ascii") as file:
            content = json.load(file)
    except FileNotFoundError:
        if os.path.isdir(root) and os.listdir(root):
            raise FileExistsError(
                f"{root} is not empty and holds no sample library: take another folder"
            ) from None
        return None
    except ValueError:  # the machine stopped while this was being written
        content = arguments
    summary = content.pop("summary", None)
    if content != arguments:
        raise FileExistsError(
            f"{root} holds a sample library made with other options: delete it, or take another "
            "folder"
        )
    if summary is None:
        return None
    return SampleSummary(**summary | {"unreadable": tuple(summary["unreadable"])})
