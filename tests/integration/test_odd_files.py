"""Odd files that mutagen and mediafile collected over the years: read, or a reason given."""

import os
import shutil

import pytest

from backend_worker.library.tags import UnreadableFile
from tests.support.odd_files import NotAvailableError, odd_files
from tests.unit.library.tags.files import (
    assert_clean_or_unreadable,
    assert_same_both_ways,
    cover_of,
    read,
)

# project, version of its source distribution, folder in it, fewest files to expect
COLLECTIONS = [
    ("mutagen", "1.48.1", "tests/data", 90),
    ("mediafile", "0.13.0", "test/rsrc", 60),
]
RECORDING = "8b882575-08a5-4452-a7a7-cbb8a1531f9e"
RELEASE_TRACK = "c29f3a57-b439-46fd-a2e2-93776b1371e0"
RELEASE = "9e873859-8aa4-4790-b985-5a953e8ef628"
ARTIST = "7cf0ea9d-86b9-4dad-ba9e-2355a64899ea"


@pytest.fixture(scope="module")
def collections():
    try:
        return {project: odd_files(project, *rest) for project, *rest, _fewest in COLLECTIONS}
    except NotAvailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def files(collections):
    """Path by name; where both projects have a name, mediafile's."""
    return {path.name: str(path) for paths in collections.values() for path in paths}


@pytest.mark.parametrize(("project", "fewest"), [(row[0], row[-1]) for row in COLLECTIONS])
def test_every_file_gives_a_clean_record_or_a_reason(collections, project, fewest):
    tracks = [assert_clean_or_unreadable(str(path)) for path in collections[project]]
    assert len(tracks) >= fewest
    read_share = sum(track is not None for track in tracks) / len(tracks)
    assert read_share > 0.7


def test_the_short_ways_give_what_mutagen_gives(collections, tmp_path):
    for paths in collections.values():
        for path in paths:
            assert_same_both_ways(str(path))
            content = path.read_bytes()
            for length in (len(content) // 2, len(content) - 1, 1000, 100):
                (tmp_path / path.name).write_bytes(content[: max(0, length)])
                assert_same_both_ways(str(tmp_path / path.name))


def test_every_file_under_a_wrong_name_as_well(collections, tmp_path):
    for paths in collections.values():
        for path in paths:
            for name in ("mislabelled.mp3", "mislabelled.flac"):
                shutil.copy(path, tmp_path / name)
                assert_clean_or_unreadable(str(tmp_path / name))


@pytest.mark.parametrize(
    "name",
    [
        "full.mp3",
        "full.flac",
        "full.ogg",
        "full.opus",
        "full.m4a",
        "full.alac.m4a",
        "full.wma",
        "full.wv",
        "full.ape",
        "full.mpc",
        "full.aiff",
        "full.dsf",
    ],
)
def test_the_same_facts_from_twelve_formats(files, name):
    track = read(files[name])
    assert (track.title, track.artists, track.album) == ("full", ["the artist"], "the album")
    assert (track.track_number, track.track_total) == (2, 3)
    assert (track.disc_number, track.disc_total) == (4, 5)
    assert (track.date, track.genres, track.bpm) == ("2001", ["the genre"], 6)
    assert (track.composers, track.label) == (["the composer"], "the label")
    assert track.compilation
    assert track.has_lyrics
    assert track.comment == "the comments"
    assert (track.mb_recording_id, track.mb_track_id) == (RECORDING, RELEASE_TRACK)
    assert (track.mb_release_id, track.mb_artist_ids) == (RELEASE, [ARTIST])
    assert track.duration == pytest.approx(0.01 if name == "full.dsf" else 1.03, abs=0.05)


EXPECTED = {
    # ID3v2.2, 2.3, 2.4, version 1 alone
    "id3v22-test.mp3": {"title": "cosmic american", "track_total": 11, "date": "2004"},
    # 143 frames of 1,152 samples, counted: the size of the file says 3.768
    "silence-44-s.mp3": {"artists": ["piman", "jzig"], "genres": ["Silence"], "duration": 3.736},
    "silence-44-s-v1.mp3": {"title": "Silence", "genres": ["Darkwave"], "track_number": 2},
    "issue_21.id3": {"title": "Punk To Funk", "album": "Better Living Through Chemistr"},
    # APEv2 behind Lyrics3 behind an MP3, gains from LAME's header
    "apev2-lyricsv2.mp3": {"title": "A song", "artists": ["Auth"], "genres": ["House"]},
    "lame-peak.mp3": {"replaygain_track_gain": 6.8, "replaygain_track_peak": 0.218567},
    # Vorbis comments
    "multipage-setup.ogg": {"title": "Burst", "replaygain_album_gain": -10.29, "duration": 4.129},
    "variable-block.flac": {"title": "DIVE FOR YOU", "track_total": 11, "disc_total": 2},
    "52-too-short-block-size.flac": {"title": "Mother's Daughter", "artists": ["Tunng"]},
    "date_with_slashes.ogg": {"date": "2005-06-05"},
    "discc.ogg": {"disc_number": 4, "disc_total": 5},
    "multiplexed.spx": {"codec": "speex", "duration": 3.685},
    # the others
    "nero-chapters.m4b": {"composers": ["Nick Podehl"], "duration": 169022.694},
    "issue_29.wma": {"title": "Señor Flamingos Adieu", "track_number": 6, "track_total": 15},
    "pure.wma": {"title": "the title", "artists": ["the artist"], "comment": "the comments"},
    "silence-44-s.wv": {"artists": ["piman", "jzig"], "codec": "wavpack"},
    "has-tags.tak": {"artists": ["The Artist"], "codec": "tak", "bit_depth": 16},
    "sv8_header.mpc": {"codec": "musepack", "replaygain_track_gain": -4.668281},
    "with-id3.aif": {"title": "AIFF title", "duration": 1.0, "channels": 1},
    "silence-2s-PCM-44100-16-ID3v23.wav": {"artists": ["piman / jzig"], "duration": 2.0},
    "space_time.mp3": {"date": "2009-09-04"},
    "t_time.m4a": {"date": "1987-03-31"},
    "dsd.wv": {"codec": "wavpack", "sample_rate": 352_800, "bit_depth": 1},
    "silence-44-s.eac3": {"codec": "eac3", "duration": 3.7},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_well_known_files(files, name):
    track = read(files[name])
    assert {field: getattr(track, field) for field in EXPECTED[name]} == EXPECTED[name]


REASONS = {
    "emptyfile.mp3": "the file is empty",
    "image.jpg": "not an audio file: it begins with a JPEG picture",
    "sample.mid": "no reader for this format: MIDI",
    "too-short.mp3": "damaged: can't sync to MPEG frame",
    "64bit.mp4": "it holds no audio track",
    "flac_application.flac": "truncated: its header promises 274 s, but only 68 bytes of audio"
    " follow",
    "without-id3.dsf": "it holds no audio: its header counts none",
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(files, name):
    with pytest.raises(UnreadableFile) as caught:
        read(files[name])
    assert str(caught.value) == REASONS[name]


@pytest.mark.parametrize("extension", ["ape", "flac", "m4a", "mp3", "ogg", "wma"])
def test_the_same_picture_from_six_formats(files, extension):
    with open(files["image-2x3.png"], "rb") as file:
        assert cover_of(files[f"image.{extension}"]) == file.read()


def test_worker_scans_them_all_and_the_figures_add_up(library, worker, collections, tmp_path):
    for project, paths in collections.items():
        for number, path in enumerate(paths):
            folder = tmp_path / project / f"{number % 7}"
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / path.name)
            os.utime(folder / path.name, (1_600_000_000, 1_600_000_000))
    status = library.scan(tmp_path)
    library.settle()
    assert status.status == "completed"
    assert status.found == status.stored + status.failed
    assert status.stored > 100
    reasons = [row[0] for row in library.rows("SELECT reason FROM file WHERE state = 'failed'")]
    assert len(reasons) == status.failed
    assert [reason for reason in reasons if "internal error" in reason] == []
    assert library.rows("SELECT count(*) FROM track_vector") == [(status.stored,)]
