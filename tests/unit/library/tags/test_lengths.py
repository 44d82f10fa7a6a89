"""How long audio lasts where no header says so, or one says it of something else.

The files are made of frames whose number is known: a frame of MPEG 1 layer III has 1,152 samples
(ISO 11172-3, 2.4.2.1), one of MPEG 2 half as many (ISO 13818-3, 2.4.3.2), one of AAC 1,024.
"""

import struct

import pytest

from backend_worker.library.tags import UnreadableFile, frames
from tests.unit.library.tags.files import (
    JPEG,
    TEMPLATES,
    assert_same_both_ways,
    copy_of,
    id3_frame,
    id3_tag,
    read,
)

TITLE = id3_tag(4, [id3_frame(4, b"TIT2", b"\3A title")])
ID3V1 = b"TAG" + b"A title".ljust(124, b"\0") + b"\xff"
COVER = id3_frame(4, b"APIC", b"\0image/jpeg\0\3\0" + JPEG + b"\xff\xfb\x90\0" * 2000)


def mpeg(kbits, count=1):
    """Frames of MPEG 1 layer III at 44.1 kHz."""
    index = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320).index(kbits) + 1
    length = 144 * kbits * 1000 // 44_100
    return (bytes([0xFF, 0xFB, index << 4, 0]).ljust(length, b"\x55")) * count


def slow_mpeg(kbits, count=1):
    """Frames of MPEG 2 layer III at 22.05 kHz."""
    index = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160).index(kbits) + 1
    length = 72 * kbits * 1000 // 22_050
    return (bytes([0xFF, 0xF3, index << 4, 0]).ljust(length, b"\x55")) * count


def layer_2(kbits, count=1):
    """Frames of MPEG 1 layer II at 48 kHz."""
    index = (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384).index(kbits) + 1
    length = 144 * kbits * 1000 // 48_000
    return (bytes([0xFF, 0xFD, index << 4 | 4, 0]).ljust(length, b"\x55")) * count


def adts(length, count=1):
    """Frames of AAC LC at 44.1 kHz in stereo, so many bytes long."""
    header = bytes(
        [0xFF, 0xF1, 0x50, 0x80 | length >> 11, length >> 3 & 0xFF, (length & 7) << 5 | 0x1F, 0xFC]
    )
    return header.ljust(length, b"\x21") * count


def xing(count, size):
    """A frame with an encoder's header that tells so many frames and bytes."""
    frame = bytearray(mpeg(128))
    frame[36:52] = b"Xing" + struct.pack(">3I", 3, count, size)
    return bytes(frame)


def length_of(folder, name, *parts):
    path = folder / name
    path.write_bytes(b"".join(parts))
    assert_same_both_ways(str(path))
    return read(str(path)).duration


def quiet_and_loud(frame, low, high, times=10, count=60):
    return (frame(low, count) + frame(high, count)) * times


@pytest.mark.parametrize(
    ("name", "audio", "seconds"),
    [
        ("x.mp3", quiet_and_loud(mpeg, 32, 320), 1200 * 1152 / 44_100),
        ("x.mp3", mpeg(32, 100) + mpeg(192, 1000), 1100 * 1152 / 44_100),
        ("x.mp3", mpeg(320, 1000) + mpeg(32, 400), 1400 * 1152 / 44_100),
        ("x.mp3", slow_mpeg(8, 200) + slow_mpeg(64, 1000), 1200 * 576 / 22_050),
        ("x.mp2", quiet_and_loud(layer_2, 64, 384), 1200 * 1152 / 48_000),
        ("x.mp3", mpeg(128, 1000), 1000 * 1152 / 44_100),
        ("x.mp3", mpeg(32, 1000), 1000 * 1152 / 44_100),
        ("x.aac", adts(20, 200) + adts(400, 1000), 1200 * 1024 / 44_100),
        ("x.aac", adts(400, 1000), 1000 * 1024 / 44_100),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize(
    ("before", "behind"),
    [(b"", b""), (TITLE, ID3V1), (TITLE * 2, b""), (id3_tag(4, [COVER]), ID3V1)],
    ids=["bare", "tags", "two tags", "cover"],
)
def test_no_header_says_so(tmp_path, name, audio, seconds, before, behind):
    found = length_of(tmp_path, name, before, audio, behind)
    # a frame's length is rounded down where its bit rate needs parts of a byte
    assert found == pytest.approx(seconds, rel=0.003)


def test_a_file_too_large_to_count_is_reckoned(tmp_path, monkeypatch):
    monkeypatch.setattr(frames, "MOST_COUNTED", 100_000)
    for name, audio, seconds in (
        ("x.mp3", quiet_and_loud(mpeg, 32, 320, times=100), 12_000 * 1152 / 44_100),
        ("x.aac", quiet_and_loud(adts, 50, 400, times=100), 12_000 * 1024 / 44_100),
    ):
        assert length_of(tmp_path, name, audio) == pytest.approx(seconds, rel=0.05)


class TestJoinedAndCutFiles:
    ONE = xing(500, 501 * 417) + mpeg(128, 500)
    SECONDS = 500 * 1152 / 44_100

    def test_what_the_header_says_is_so(self, tmp_path):
        assert length_of(tmp_path, "x.mp3", TITLE, self.ONE) == pytest.approx(
            self.SECONDS, abs=0.001
        )
        junk = b"junk" * 900
        assert length_of(tmp_path, "x.mp3", self.ONE, junk) == pytest.approx(
            self.SECONDS, abs=0.001
        )

    @pytest.mark.parametrize("between", [b"", TITLE, ID3V1, ID3V1 + id3_tag(4, [COVER])])
    def test_three_joined(self, tmp_path, between):
        joined = between.join([self.ONE] * 3)
        assert length_of(tmp_path, "x.mp3", joined) == pytest.approx(3 * self.SECONDS, rel=0.01)

    @pytest.mark.parametrize("part", [0.3, 0.7])
    def test_one_cut_off(self, tmp_path, part):
        cut = self.ONE[: int(len(self.ONE) * part)]
        assert length_of(tmp_path, "x.mp3", cut) == pytest.approx(self.SECONDS * part, rel=0.01)

    def test_fraunhofers_header(self, tmp_path):
        header = bytearray(mpeg(128))
        contents = 0, 1, 2, 1
        header[36:62] = b"VBRI" + struct.pack(">HHHIIHHHH", 1, 0, 50, 501 * 417, 501, *contents)
        one = bytes(header) + mpeg(128, 500)
        assert length_of(tmp_path, "x.mp3", one) == pytest.approx(501 * 1152 / 44_100, abs=0.001)
        twice = length_of(tmp_path, "x.mp3", one * 2)
        assert twice == pytest.approx(1002 * 1152 / 44_100, rel=0.01)


def atom(name, *parts):
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), name) + data


def fragmented(content, count, *, default=None, told=0, each=1024):
    """An MP4 file whose samples are in so many fragments of ten."""
    start = content.index(b"moov") - 4
    size = int.from_bytes(content[start : start + 4], "big")
    moov = bytearray(content[start : start + size])
    mdhd = moov.index(b"mdhd") + 4
    moov[mdhd + 16 : mdhd + 20] = struct.pack(">I", told)
    tkhd = moov.index(b"tkhd") + 4
    track = moov[tkhd + 12 : tkhd + 16]
    trex = atom(b"trex", bytes(4), track, struct.pack(">4I", 1, default or 0, 0, 0))
    body = bytes(moov[8:]) + atom(b"mvex", trex)
    if default:
        run = atom(b"trun", struct.pack(">III", 1, 10, 0))
    else:
        run = atom(b"trun", struct.pack(">III", 0x301, 10, 0), struct.pack(">II", each, 90) * 10)
    moof = atom(b"moof", atom(b"traf", atom(b"tfhd", bytes(4), track), run))
    ftyp = atom(b"ftyp", b"M4A \0\0\0\0")
    return ftyp + atom(b"moov", body) + (moof + atom(b"mdat", bytes(900))) * count


class TestMP4:
    CONTENT = TEMPLATES["tone-aac.m4a"].read_bytes()

    @pytest.mark.parametrize("told", [0, 2**32 - 1])
    @pytest.mark.parametrize("default", [None, 1024])
    def test_in_fragments(self, tmp_path, default, told):
        content = fragmented(self.CONTENT, 25, default=default, told=told)
        found = length_of(tmp_path, "x.m4a", content)
        assert found == pytest.approx(25 * 10 * 1024 / 16_000)

    def test_of_unknown_length(self, tmp_path):
        content = fragmented(self.CONTENT, 0, told=2**32 - 1)
        assert length_of(tmp_path, "x.m4a", content) is None


def rf64(name, samples, *, told=True):
    length = struct.pack("<I", 2**32 - 1)
    sizes = struct.pack("<QQQI", 28 + len(samples), len(samples) if told else 0, 0, 0)
    form = struct.pack("<HHIIHH", 1, 2, 8000, 32_000, 4, 16)
    info = b"INFOINAM" + struct.pack("<I", 8) + b"A title\0"
    return (
        name + length + b"WAVE" + b"ds64" + struct.pack("<I", len(sizes)) + sizes
        + b"fmt " + struct.pack("<I", len(form)) + form
        + b"data" + length + samples + b"LIST" + struct.pack("<I", len(info)) + info
    )  # fmt: skip


@pytest.mark.parametrize("name", [b"RF64", b"BW64"])
def test_wav_of_more_than_4_gib(tmp_path, name):
    """EBU Tech 3306: the lengths are in the chunk ds64."""
    path = tmp_path / "x.wav"
    path.write_bytes(rf64(name, bytes(64_000)))
    track = read(str(path))
    assert (track.duration, track.title, track.codec) == (2, "A title", "pcm")
    assert (track.sample_rate, track.channels, track.bit_depth) == (8000, 2, 16)


def test_rf64_that_is_cut_off_or_damaged(tmp_path):
    path = tmp_path / "x.wav"
    content = rf64(b"RF64", bytes(64_000))
    path.write_bytes(content[:16_000])
    assert read(str(path)).duration == pytest.approx(0.5, abs=0.01)
    path.write_bytes(content[:60])
    with pytest.raises(UnreadableFile, match="no format or no data"):
        read(str(path))


def test_bit_rate_of_what_was_counted(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(quiet_and_loud(mpeg, 32, 320))
    assert read(str(path)).bitrate == pytest.approx(176_000, rel=0.01)
    assert read(copy_of(tmp_path, "tone.mp3")).bitrate < 40_000
