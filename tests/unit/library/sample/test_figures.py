"""The summary's figures and the planned tags are what the real reader and grouping find."""

import dataclasses
import hashlib
import os
import unicodedata

import pytest

from backend_worker.library.grouping import group
from backend_worker.library.sample import make_library
from backend_worker.library.sample.catalogue import album_sizes, generated_album
from backend_worker.library.sample.specials import special_albums
from backend_worker.library.tags import AUDIO_EXTENSIONS, UnreadableFile, read_track
from backend_worker.library.walk import Walk

TRACKS, SEED = 1200, 5
NOT_PLANNED = {"path", "size", "fingerprint", "picture", "duration", "bitrate", "sample_rate"}
NOT_PLANNED |= {"channels", "bit_depth", "codec"}


class Scan:
    """What walking and reading a library gives."""

    def __init__(self, root):
        self.records = {}
        self.unreadable = []
        self.walk = Walk(os.fsencode(root), {os.fsencode(name) for name in AUDIO_EXTENSIONS})
        for found, size, mtime_ns in self.walk.files():
            full = os.fsdecode(found)
            path = os.path.relpath(full, root)
            try:
                self.records[path] = read_track(full, size, mtime_ns, store_picture=sha256)
            except UnreadableFile:
                self.unreadable.append(path)


def sha256(picture):
    return hashlib.sha256(picture).hexdigest()


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("sample"))
    summary = make_library(root, tracks=TRACKS, seed=SEED)
    return summary, Scan(root)


@pytest.fixture(scope="module")
def plan():
    albums = special_albums(SEED, mislabelled=True, not_utf8=True)
    rest = TRACKS - sum(len(album.tracks) for album in albums)
    albums += [generated_album(SEED, *size) for size in album_sizes(SEED, rest)]
    return albums


def test_a_scan_finds_the_tracks_and_reports_the_unreadable_ones(scanned):
    summary, scan = scanned
    assert len(scan.records) == summary.tracks == TRACKS
    assert scan.unreadable == list(summary.unreadable)
    assert scan.walk.errors == []
    assert scan.records.keys().isdisjoint(summary.ignored.values())


@pytest.mark.parametrize("tracks", [TRACKS, 12, 30])
def test_grouping_finds_the_albums_artists_and_composers(tmp_path, scanned, tracks):
    summary, scan = scanned
    if tracks != TRACKS:
        summary = make_library(str(tmp_path), tracks=tracks)
        scan = Scan(str(tmp_path))
    entities = group(scan.records.values())
    name_of = {artist.key: artist.name_key for artist in entities.artists}
    links = [*entities.tracks, *entities.albums]
    artists = {name_of[key] for linked in links for key in linked.artist_keys}
    composers = {name_of[key] for track in entities.tracks for key in track.composer_keys}
    assert len({album.key for album in entities.albums}) == summary.albums
    assert len(artists) == summary.artists
    assert len(composers - artists) == summary.composers


def test_the_reader_finds_every_tag_that_was_planned(scanned, plan):
    _summary, scan = scanned
    for planned in (track.record for album in plan for track in album.tracks):
        assert tags(scan.records[planned.path]) == tags(planned), planned.path


def tags(record):
    return {
        name: composed(value)
        for name, value in dataclasses.asdict(record).items()
        if name not in NOT_PLANNED
    }


def composed(value):
    """Return text as the reader gives it: the plan may hold decomposed letters."""
    if isinstance(value, list):
        return [composed(item) for item in value]
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def test_embedded_covers_are_found_and_shared_by_an_album(scanned, plan):
    _summary, scan = scanned
    seen = set()
    for album in plan:
        found = {scan.records[track.record.path].picture for track in album.tracks}
        if album.cover and album.cover.startswith("embedded"):
            assert len(found) == 1
            assert not found & (seen | {None})
            seen |= found
        else:
            assert found == {None}
    assert len(seen) > 20


def test_the_mood_of_a_genre_decides_its_tempo(scanned):
    _summary, scan = scanned

    def tempi(genre):
        return [r.bpm for r in scan.records.values() if r.bpm and r.genres == [genre]]

    assert max(tempi("Doom")) < min(tempi("Techno"))
    assert max(tempi("Techno")) < min(tempi("Drum and Bass"))
