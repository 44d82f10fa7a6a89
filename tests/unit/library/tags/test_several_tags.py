"""Tags in more than one place of a file: each field comes from the first that has it.

The order of trust stands in ``sources.py``. That of FLAC's Vorbis comments over ID3v2 is RFC 9639,
section 5 and appendix D.1's; ID3v2's over ID3v1 is that of https://id3.org/id3v2.4.0-structure,
whose texts are not cut; a tag "3DI" at the end is that document's section 3.4.
"""

import struct

import pytest
from mutagen.apev2 import APEv2
from mutagen.flac import FLAC
from mutagen.wavpack import WavPack

from tests.unit.library.tags.files import (
    JPEG,
    TEMPLATES,
    assert_same_both_ways,
    copy_of,
    cover_of,
    id3_frame,
    id3_tag,
    read,
)

GAIN = id3_frame(4, b"TXXX", b"\0REPLAYGAIN_TRACK_GAIN\0-3 dB")
ART = id3_frame(4, b"APIC", b"\0image/jpeg\0\3\0" + JPEG)
BLANK = id3_frame(4, b"TIT2", b"\0   ")
TEXTS = [
    id3_frame(4, b"TIT2", b"\0Deep Song"),
    id3_frame(4, b"TPE1", b"\0Some Band"),
    id3_frame(4, b"TALB", b"\0The Record"),
    id3_frame(4, b"TRCK", b"\00013"),
]
FULL = id3_tag(4, TEXTS)
ID3V1 = b"TAG" + b"".join(
    text.ljust(30, b"\0") for text in (b"Deep Song", b"Some Band", b"The Record")
) + b"1999" + bytes(29) + b"\x0d\xff"  # fmt: skip

# What stands first and hides nothing.
FIRST = {
    "nothing": id3_tag(4, [], padding=50),
    "gain": id3_tag(4, [GAIN]),
    "art": id3_tag(3, [ART]),
    "blank text": id3_tag(4, [BLANK, GAIN]),
    "another version": id3_tag(3, [id3_frame(3, b"TCON", b"\0Rock")]),
}


def appended(frames):
    tag = bytearray(id3_tag(4, frames, flags=0x10))
    return bytes(tag) + b"3DI" + bytes(tag[3:10])


def audio(name):
    return TEMPLATES[name].read_bytes()


def write(folder, name, *parts):
    path = folder / name
    path.write_bytes(b"".join(parts))
    assert_same_both_ways(str(path))
    return read(str(path))


def assert_texts(track, *, duration):
    assert (track.title, track.artists) == ("Deep Song", ["Some Band"])
    assert (track.album, track.track_number) == ("The Record", 13)
    assert track.duration == pytest.approx(duration, abs=0.02)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize(
    ("name", "codec", "duration"),
    [
        ("tone.mp3", "mp3", 1.25),
        ("tone.flac", "flac", 1.2),
        ("tone.aac", "aac", 0.64),
        ("tone.ogg", "vorbis", 1.2),
        ("tone.opus", "opus", 1.2),
        ("tone-aac.m4a", "aac", 1.26),
        ("tone.tta", "tta", 0.5),
        ("tone.wv", "wavpack", 0.5),
        ("tone.wav", "pcm", 0.6),
    ],
)
@pytest.mark.parametrize("between", [0, 1000], ids=["", "with zeros between"])
def test_two_id3v2_tags_before_the_audio(tmp_path, first, name, codec, duration, between):
    zeros = bytes(between)
    # an MP4 file begins with zeros itself, so none are skipped before one
    behind = b"" if name == "tone-aac.m4a" else zeros
    content = FIRST[first] + zeros + FULL + behind + audio(name)
    track = write(tmp_path, name, content)
    assert_texts(track, duration=duration)
    assert track.codec == codec
    assert (track.picture is not None) == (first == "art")


@pytest.mark.parametrize("first", FIRST)
def test_an_id3v2_tag_at_the_end(tmp_path, first):
    track = write(tmp_path, "x.mp3", FIRST[first], audio("tone.mp3"), appended(TEXTS))
    assert_texts(track, duration=1.25)
    track = write(tmp_path, "x.mp3", FIRST[first], audio("tone.mp3"), appended(TEXTS), ID3V1)
    assert (track.date, track.title) == ("1999", "Deep Song")


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("name", ["tone.mp3", "tone.aac", "tone.tta", "tone.wv"])
def test_id3v1_fills_what_no_other_says(tmp_path, name, first):
    track = write(tmp_path, name, FIRST[first], audio(name), ID3V1)
    assert (track.title, track.date) == ("Deep Song", "1999")
    assert track.track_number == 13


def test_flac_whose_comments_hold_only_gain(tmp_path):
    path = copy_of(tmp_path, "tone.flac")
    file = FLAC(path)
    file["REPLAYGAIN_TRACK_GAIN"] = "-5 dB"
    file.save()
    with open(path, "rb") as opened:
        track = write(tmp_path, "x.flac", id3_tag(4, [*TEXTS, GAIN]), opened.read())
    assert_texts(track, duration=1.2)
    assert track.replaygain_track_gain == -5


def test_flac_whose_comments_differ(tmp_path):
    path = copy_of(tmp_path, "tone.flac")
    file = FLAC(path)
    file["TITLE"] = "Vorb"
    file.save()
    with open(path, "rb") as opened:
        track = write(tmp_path, "x.flac", FULL, opened.read())
    assert (track.title, track.album, track.codec) == ("Vorb", "The Record", "flac")


def with_chunks(content, order, *chunks):
    parts = b"".join(
        name + struct.pack(f"{order}I", len(data)) + data + bytes(len(data) % 2)
        for name, data in chunks
    )
    size = struct.pack(f"{order}I", len(content) + len(parts) - 8)
    return content[:4] + size + content[8:] + parts


INFO = b"INFO" + b"".join(
    name + struct.pack("<I", len(text)) + text + bytes(len(text) % 2)
    for name, text in (
        (b"INAM", b"Deep Song"), (b"IART", b"Some Band"), (b"IPRD", b"The Record"), (b"ITRK", b"13")
    )
)  # fmt: skip


@pytest.mark.parametrize("first", FIRST)
def test_wav_with_id3_beside_info(tmp_path, first):
    for chunks in ([(b"id3 ", FIRST[first]), (b"LIST", INFO)], [(b"LIST", INFO), (b"ID3 ", FULL)]):
        track = write(tmp_path, "x.wav", with_chunks(audio("tone.wav"), "<", *chunks))
        assert_texts(track, duration=0.6)


def test_wav_with_two_lists(tmp_path):
    chunks = (b"LIST", b"adtl"), (b"LIST", INFO[:4]), (b"LIST", INFO)
    track = write(tmp_path, "x.wav", with_chunks(audio("tone.wav"), "<", *chunks))
    assert_texts(track, duration=0.6)


@pytest.mark.parametrize("first", FIRST)
def test_aiff_with_texts_of_its_own(tmp_path, first):
    texts = (b"NAME", b"Deep Song"), (b"AUTH", b"Bj\xc3\xb6rk"), (b"ANNO", b"Nice\0")
    content = with_chunks(audio("tone.aiff"), ">", (b"ID3 ", FIRST[first]), *texts)
    track = write(tmp_path, "x.aiff", content)
    assert (track.title, track.artists, track.comment) == ("Deep Song", ["Björk"], "Nice")


def test_ape_before_id3v1_and_behind_id3v2(tmp_path):
    path = copy_of(tmp_path, "tone.mp3")
    tags = APEv2()
    tags["Title"], tags["Album"] = "From APE", "A record of more than thirty letters"
    tags.save(path)
    with open(path, "rb") as file:
        content = file.read()
    track = write(tmp_path, "x.mp3", id3_tag(4, TEXTS[:2]), content, ID3V1)
    assert (track.title, track.album) == ("Deep Song", "A record of more than thirty letters")
    assert (track.track_number, track.date) == (13, "1999")


def test_the_formats_own_apev2_comes_before_id3v2(tmp_path):
    path = copy_of(tmp_path, "tone.wv")
    file = WavPack(path)
    file.add_tags()
    file["Title"] = "From APE"
    file.save()
    with open(path, "rb") as opened:
        track = write(tmp_path, "x.wv", FULL, opened.read())
    assert (track.title, track.album) == ("From APE", "The Record")


def test_a_damaged_tag_hides_nothing(tmp_path):
    damaged = b"ID3\x09\0\0\0\0\0\x10" + b"x" * 16
    track = write(tmp_path, "x.mp3", damaged, FULL, audio("tone.mp3"))
    assert_texts(track, duration=1.25)


def test_credits_come_from_the_tag_that_names_the_artists(tmp_path):
    artists = id3_frame(4, b"TXXX", b"\0ARTISTS\0A\0B"), id3_frame(4, b"TPE1", b"\0A feat. B")
    second = id3_tag(4, artists)
    track = write(tmp_path, "x.mp3", id3_tag(4, [TEXTS[1]]), second, audio("tone.mp3"))
    assert (track.artists, track.artist_credit) == (["Some Band"], None)
    track = write(tmp_path, "x.mp3", id3_tag(4, [TEXTS[0]]), second, audio("tone.mp3"))
    assert (track.artists, track.artist_credit) == (["A", "B"], "A feat. B")


def test_the_cover_of_the_second_tag(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(FULL + id3_tag(4, [ART]) + audio("tone.mp3"))
    assert cover_of(str(path)) == JPEG
