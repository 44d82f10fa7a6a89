"""The short ways through ordinary files give what mutagen's readers give, file by file."""

import base64
import io
import os
import struct
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import id3
from mutagen.aiff import AIFF
from mutagen.flac import FLAC, Picture
from mutagen.mp3 import MPEGInfo
from mutagen.mp4 import MP4, MP4Cover, MP4Tags
from mutagen.mp4._atom import Atoms
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from backend_worker.library.sample import make_library
from backend_worker.library.tags.plain import NotPlainError
from backend_worker.library.tags.plain_id3 import plain_id3
from backend_worker.library.tags.plain_mp4_tags import plain_mp4_tags
from backend_worker.library.tags.plain_mpeg import plain_mpeg_info
from backend_worker.library.tags.slots import slots_of
from tests.unit.library.tags.files import (
    JPEG,
    TEMPLATES,
    UUID,
    assert_same_both_ways,
    copy_of,
    read,
)

SHORT = {"mp3", "flac", "m4a", "ogg", "opus", "aiff", "wav"}  # formats that have a short way


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def test_the_sample_library_and_its_broken_files(tmp_path):
    make_library(str(tmp_path), tracks=400)
    files, short = Counter(), Counter()
    for folder, _, names in os.walk(tmp_path):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path):
                extension = path.rpartition(".")[2].lower()
                files[extension] += 1
                short[extension] += assert_same_both_ways(path)
    for extension in SHORT:
        assert short[extension] > 0.8 * files[extension] > 0, extension


def assert_short(path):
    assert assert_same_both_ways(path)


FRAMES = (
    id3.TIT2(text="Señorita"),
    id3.TPE1(text=["Björk", "𝄞 Clef"]),
    id3.TDRC(text="2004-05-06T07:08"),
    id3.TRCK(text="3/12"),
    id3.TCON(text=["(17)", "Eurodisco"]),
    id3.TLEN(text="1000"),
    id3.TXXX(desc="MusicBrainz Album Id", text=UUID),
    id3.TXXX(desc="ARTISTS", text=["Björk", "B"]),
    id3.TXXX(desc="of no use", text="x"),
    id3.COMM(lang="eng", desc="", text="Nice " * 40),
    id3.COMM(lang="eng", desc="iTunNORM", text="0000"),
    id3.USLT(lang="eng", desc="", text="La la la"),
    id3.UFID(owner="http://musicbrainz.org", data=UUID.encode()),
    id3.PRIV(owner="somebody", data=bytes(300)),
    id3.APIC(mime="image/jpeg", type=4, desc="back", data=JPEG * 50),
    id3.APIC(mime="image/jpeg", type=3, desc="", data=JPEG * 400),
)


@pytest.mark.parametrize("id3v1", [0, 2])
@pytest.mark.parametrize("encoding", [0, 1, 2, 3])
@pytest.mark.parametrize("version", [3, 4])
def test_id3_as_taggers_write_it(tmp_path, version, encoding, id3v1):
    path = copy_of(tmp_path, "tone.mp3")
    tags = id3.ID3()
    for frame in FRAMES:
        copy = type(frame)(frame)
        if hasattr(copy, "encoding"):
            copy.encoding = encoding
        if encoding == 0 and frame.FrameID == "TPE1":
            copy.text = ["Björk"]
        tags.add(copy)
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v1=id3v1, v2_version=version, v23_sep=None)
    assert_short(path)


def test_an_id3v1_tag_says_what_the_other_does_not(tmp_path):
    path = copy_of(tmp_path, "tone.mp3")
    tags = id3.ID3()
    for frame in FRAMES:
        tags.add(frame)
    tags.save(path, v1=2)
    for name in ("TIT2", "TDRC", "COMM", "TCON"):
        tags.delall(name)
    tags.save(path, v1=0, padding=lambda _info: 0)
    with open(path, "ab") as file:
        file.write(id3.MakeID3v1({frame.FrameID: frame for frame in FRAMES}))
    assert read(path).genres == ["Rock"]
    assert_short(path)


def id3_tag(version, frames, *, flags=0, padding=0):
    body = b"".join(frames) + bytes(padding)
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def id3_frame(version, name, data, *, flags=0, plain_size=False):
    size = len(data)
    if version == 4 and not plain_size:
        encoded = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    else:
        encoded = struct.pack(">I", size)
    return name + encoded + struct.pack(">H", flags) + data


NAMES = [
    *(b"TIT2", b"TPE1", b"TDRC", b"TYER", b"TDAT", b"TCON", b"TRCK", b"TBPM", b"TSOP", b"TLEN"),
    *(b"TXXX", b"COMM", b"USLT", b"UFID", b"APIC", b"PRIV", b"POPM", b"WXXX", b"GEOB", b"TIPL"),
    *(b"RVA2", b"SYLT", b"CHAP", b"XSOP", b"TT2\0", b"tit2", b"\0\0\0\0"),
]
PIECES = [
    *(b"\0", b"\0\0", b"\xff\xfe", b"\xfe\xff", b"A", b"A\0", b"\0A", b"2004", b"3/12", b"(17)"),
    *(b"eng", b"engA\0Nice", b"ARTISTS\0", b"image/jpeg\0\3", b"-->\0\0", b"\3", b"x" * 130),
    *(b"http://musicbrainz.org\0", UUID.encode(), "Señorita".encode(), b"\xe9", b"\xd8\x01"),
    *("ARTISTS\0".encode("utf-16-le"), "ARTISTS\0".encode("utf-16-be")),
    *("2004-5-6".encode("utf-16"), "A\0".encode("utf-16"), "\U0001d11e".encode("utf-16")),
    *("2004".encode("utf-16-le"), "A\0B".encode("utf-16-be"), "A\0\0".encode("utf-16-le")),
]
BODIES = st.builds(
    lambda encoding, pieces: encoding + b"".join(pieces),
    st.sampled_from([b"", b"\0", b"\1", b"\1\xff\xfe", b"\2", b"\3", b"\4", b"\1eng", b"\0eng"]),
    st.lists(st.sampled_from(PIECES), max_size=6),
)
TAGS = st.builds(
    lambda version, frames, flags, padding: id3_tag(
        version,
        [id3_frame(version, *frame, **options) for *frame, options in frames],
        flags=flags,
        padding=padding,
    ),
    st.sampled_from([3, 4]),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            BODIES,
            st.sampled_from([{}] * 12 + [{"flags": 1}, {"flags": 0x2000}, {"plain_size": True}]),
        ),
        max_size=5,
    ),
    st.sampled_from([0] * 8 + [0x80, 0x40]),
    st.sampled_from([0, 1, 9, 10, 300]),
)


def test_flac_as_taggers_write_it(tmp_path):
    path = copy_of(tmp_path, "tone.flac")
    file = FLAC(path)
    file["title"] = ["Señorita", "𝄞"]
    for kind, size in ((4, 100), (3, 30_000)):
        picture = Picture()
        picture.type, picture.mime, picture.desc = kind, "image/jpeg", "Café"
        picture.data = JPEG * (size // len(JPEG))
        file.add_picture(picture)
    file.save()
    assert_short(path)


# The comments fill a part of a page, several pages, and one of them to its end.
@pytest.mark.parametrize("picture_bytes", [0, 100, 60_000, 200_000, *range(48_200, 48_400, 7)])
@pytest.mark.parametrize(("template", "kind"), [("tone.ogg", OggVorbis), ("tone.opus", OggOpus)])
def test_ogg_as_taggers_write_it(tmp_path, template, kind, picture_bytes):
    path = copy_of(tmp_path, template)
    file = kind(path)
    file["title"] = ["Señorita", "𝄞"]
    if picture_bytes:
        picture = Picture()
        picture.type, picture.mime, picture.data = 3, "image/jpeg", bytes(picture_bytes)
        file["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
    file.save()
    assert_short(path)


@pytest.mark.parametrize("template", ["tone.ogg", "tone.opus"])
def test_ogg_whose_last_page_is_no_last_one(tmp_path, template):
    path = copy_of(tmp_path, template)
    content = bytearray(TEMPLATES[template].read_bytes())
    last = content.rindex(b"OggS")
    flags, position, serial, segments = 5, 6, 14, 26  # in a page's header
    for place, value in (
        (flags, b"\0"),
        (position, b"\xff" * 8),
        (serial, b"X"),
        (segments, b"\xff"),
    ):
        start, end = last + place, last + place + len(value)
        with open(path, "wb") as file:
            file.write(content[:start] + value + content[end:])
        assert not assert_same_both_ways(path)
    with open(path, "wb") as file:
        file.write(content * 2)  # chained
    assert_same_both_ways(path)


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize(("template", "kind"), [("tone.aiff", AIFF), ("tone.wav", WAVE)])
def test_aiff_and_wav_as_taggers_write_them(tmp_path, template, kind, version):
    path = copy_of(tmp_path, template)
    file = kind(path)
    if file.tags is None:
        file.add_tags()
    for frame in FRAMES:
        file.tags.add(frame)
    if version == 3:
        file.tags.update_to_v23()
    file.save(v2_version=version)
    assert read(path).title == "Señorita"
    assert_short(path)


def chunk(order, name, data):
    return name + struct.pack(f"{order}I", len(data)) + data + bytes(len(data) % 2)


CHUNK_NAMES = [b"ID3 ", b"id3 ", b"Id3 ", b"COMM", b"SSND", b"fmt ", b"data", b"LIST", b"\xff\0 x"]
CHUNKS = st.lists(
    st.tuples(
        st.sampled_from(CHUNK_NAMES),
        st.sampled_from([b"", b"x", b"INFO", id3_tag(3, [id3_frame(3, b"TIT2", b"\0A")])]),
    ),
    max_size=4,
)


@pytest.mark.parametrize(("template", "order"), [("tone.aiff", ">"), ("tone.wav", "<")])
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
@given(chunks=CHUNKS, first=st.booleans(), cut=st.sampled_from([0, 0, 0, 1, 9, 40]))
def test_odd_chunks_of_aiff_and_wav(scratch, template, order, chunks, first, cut):
    content = TEMPLATES[template].read_bytes()
    added = b"".join(chunk(order, *each) for each in chunks)
    body = content[8:12] + (added + content[12:] if first else content[12:] + added)
    content = chunk(order, content[:4], body)
    path = scratch / f"odd-{template}"
    path.write_bytes(content[: len(content) - cut])
    assert_same_both_ways(str(path))


def atom(name, data):
    return struct.pack(">I4s", 8 + len(data), name) + data


def mp4_value(data, flags=1, name=b"data"):
    return atom(name, struct.pack(">II", flags, 0) + data)


MP4_VALUES = st.builds(
    mp4_value,
    st.sampled_from([b"", b"\0", b"\1", b"\xff\x80", b"\0\0\0\3\0\x0c", "𝄞".encode(), b"12345678"]),
    st.sampled_from([0, 1, 1, 1, 13, 21, 1 << 24]),
    st.sampled_from([b"data"] * 9 + [b"name"]),
)
MP4_ITEMS = st.builds(
    lambda name, mean, values, rest: atom(name, mean + b"".join(values) + rest),
    st.sampled_from(
        b"\xa9nam \xa9ART cpil tmpo trkn gnre covr ---- ---- stik xxxx free meta".split()
    ),
    st.sampled_from(
        [b""]
        + [mp4_value(b"com.apple.iTunes", name=b"mean")[:-20] + b"iTunes"]
        + 2 * [atom(b"mean", bytes(4) + b"com.apple") + atom(b"name", bytes(4) + b"ARTISTS")]
    ),
    st.lists(MP4_VALUES, max_size=3),
    st.sampled_from([b""] * 9 + [b"x", bytes(8), bytes(16)]),
)


@settings(max_examples=700, suppress_health_check=list(HealthCheck))
@given(items=st.lists(MP4_ITEMS, max_size=4))
def test_mp4_tags_of_odd_atoms(items):
    ilst = b"".join(items)
    try:
        plain = plain_mp4_tags(ilst)
    except (NotPlainError, struct.error, UnicodeDecodeError):
        return
    moov = atom(b"moov", atom(b"udta", atom(b"meta", bytes(4) + atom(b"ilst", ilst))))
    file = io.BytesIO(moov)
    expected = MP4Tags(Atoms(file), file)
    assert slots_of(plain) == slots_of(expected)
    assert plain.get("covr", []) == [bytes(cover) for cover in expected.get("covr", ())]


@pytest.mark.parametrize("template", ["tone-aac.m4a", "tone-alac.m4a"])
def test_mp4_as_taggers_write_it(tmp_path, template):
    path = copy_of(tmp_path, template)
    file = MP4(path)
    file["\xa9nam"], file["trkn"], file["tmpo"] = ["Señorita", "𝄞"], [(3, 12)], [128]
    file["cpil"] = True
    file["----:com.apple.iTunes:MusicBrainz Album Id"] = [UUID.encode()]
    file["covr"] = [MP4Cover(JPEG * 2000, MP4Cover.FORMAT_JPEG)]
    file.save()
    assert_short(path)
    with open(path, "ab") as audio:  # what follows may be cut off
        audio.write(struct.pack(">I4s", 100_000, b"mdat"))
    assert_short(path)


@pytest.mark.parametrize("samples", [0, 1, 2**36 - 1])
@pytest.mark.parametrize("rate", [0, 1, 44_100])
def test_flac_that_counts_oddly(tmp_path, rate, samples):
    path = copy_of(tmp_path, "tone.flac")
    with open(path, "r+b") as file:
        file.seek(18)  # behind "fLaC", the block's header and ten bytes
        depth_and_channels = int.from_bytes(file.read(8), "big") >> 36 & 0xFF
        file.seek(18)
        file.write((rate << 44 | depth_and_channels << 36 | samples).to_bytes(8, "big"))
    assert_same_both_ways(path)


AUDIO = TEMPLATES["tone.mp3"].read_bytes()
XING = AUDIO.index(b"Info")
ID3V1 = id3.MakeID3v1({frame.FrameID: frame for frame in FRAMES})


def assert_same_id3(tag, behind=b""):
    """Compare what is made of a tag before it is cleaned; return whether it is a plain one."""
    content = tag + AUDIO + behind
    plain = plain_id3(tag, content[-1000:])
    if plain is None:
        return False
    expected = id3.ID3(io.BytesIO(content), translate=False)
    assert slots_of(plain) == slots_of(expected)
    pictures = [(frame.type, frame.mime, frame.data) for frame in expected.getall("APIC")]
    assert plain.pictures == pictures
    assert plain.size == expected.size
    return True


@settings(max_examples=700, suppress_health_check=list(HealthCheck))
@given(tag=TAGS, behind=st.sampled_from([b"", ID3V1]))
def test_id3_of_odd_frames(tag, behind):
    assert_same_id3(tag, behind)


@pytest.mark.parametrize(
    "frames",
    [
        [(b"TIT2", b"\0A\0\0B\0\0\0")],
        [(b"TIT2", b"\0\0\0")],
        [(b"TDRC", b"\3May 2004")],
        [(b"TDRC", b"\0002004-5-6\0002005")],
        [(b"TIT2", b"\1\xff\xfeA\0\0\0\xff\xfeB\0\0\0C\0")],
        [(b"COMM", b"\1eng\0\0\xff\xfeA\0")],
        [(b"COMM", b"\0eng\0A"), (b"COMM", b"\0deu\0B")],
        [(b"APIC", b"\1image/png\0\3\0\0picture")],
        [(b"APIC", b"\0image/png\0\3\0\0\0\0")],
        [(b"APIC", b"\0image/png\0\3\0A"), (b"APIC", b"\0image/png\0\3\0B")],
        [(b"XSOP", b"\0A"), (b"tit2", b"\0A"), (b"TIT2", b"\0B")],
        [(b"TIT2", b""), (b"TALB", b"\0A")],
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_id3_of_frames_that_need_care(version, frames):
    tag = id3_tag(version, [id3_frame(version, *frame) for frame in frames], padding=20)
    assert assert_same_id3(tag)


@pytest.mark.parametrize(
    "frames",
    [
        [id3_frame(4, b"TIT2", b"\0" + b"A" * 130, plain_size=True), id3_frame(4, b"TALB", b"\0A")],
        # taken as 266 bytes, the first frame ends before five that else belong to the second
        [
            id3_frame(4, b"TIT2", b"\0" + b"A" * 137),
            id3_frame(4, b"PRIV", bytes(118) + id3_frame(4, b"TALB", b"\0A") * 5),
        ],
        [id3_frame(4, b"RVA2", b"x\0\1\2")],  # mutagen fails
        [id3_frame(4, b"TIT2", b"\0A"), id3_frame(4, b"TIT2", b"\0B")],
        [id3_frame(4, b"TIT2", b"\0A", flags=2)],
        [id3_frame(4, b"TIT2", b"\5A")],
        [id3_frame(4, b"TIT2", b"\1A\0")],
        [id3_frame(4, b"TIT2", b"\1\xfe\xff\0A\0\0A\0")],
        [id3_frame(4, b"TIT2", b"\3\xe9")],
        [id3_frame(4, b"TXXX", b"\0ARTISTS")],
        [id3_frame(4, b"TIT2", b"\0A")[:-1]],
    ],
)
def test_id3_that_is_left_to_mutagen(frames):
    tag = id3_tag(4, frames)
    assert plain_id3(tag, AUDIO) is None


GAINS = st.sampled_from([0, 0x2C25, 0x2E25, 0x4C25, 0x4E25])  # track's, -, album's, -
LAME_EXTENSIONS = st.builds(
    lambda begin, peak, track, album, rest: begin + struct.pack(">IHH", peak, track, album) + rest,
    st.sampled_from([b"\x04\0", b"\x14\0"]),
    st.sampled_from([0, 2**22, 2**32 - 1]),
    GAINS,
    GAINS,
    st.binary(min_size=17, max_size=17),
)
XING_HEADERS = st.builds(
    lambda frame, name, flags, frames, size, encoder, extension: (
        (AUDIO[:1] + frame + AUDIO[4:XING] + name + flags)
        + (struct.pack(">II", frames, size) + bytes(104) + encoder + extension)
    ),
    st.sampled_from([AUDIO[1:4]] * 3 + [b"\xf3\x72\xc0", b"\xe3\x50\xc0"])
    | st.binary(min_size=3, max_size=3),
    st.sampled_from([b"Xing", b"Info", b"Info", b"VBRI"]),
    st.sampled_from([b"\0\0\0\x0f"] * 4 + [b"\0\0\0\1", b"\0\0\0\7", b"\0\0\0\2", bytes(4)]),
    st.sampled_from([0, 1, 48, 70_000, 2**32 - 1]),
    st.sampled_from([0, 100, 5198, 2**32 - 1]),
    st.sampled_from([b"LAME3.100", b"LAME3.99r", b"L3.99r", b"LAME3.90.", b"Lavc58.54", b"LAME"]),
    LAME_EXTENSIONS,
)


@settings(max_examples=700, suppress_health_check=list(HealthCheck))
@given(header=XING_HEADERS)
def test_headers_of_mpeg_audio(header):
    content = header + AUDIO[len(header) :]
    plain = plain_mpeg_info(content[:1024], 0)
    if plain is not None:
        expected = MPEGInfo(io.BytesIO(content))
        assert plain == tuple(getattr(expected, name) for name in plain._fields)


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_files(scratch, template, data):
    content = bytearray(TEMPLATES[template].read_bytes())
    places = st.one_of(st.integers(0, 200), st.integers(0, len(content) - 1))
    for place, byte in data.draw(
        st.dictionaries(places, st.sampled_from([0, 1, 127, 128, 254, 255]), max_size=4)
    ).items():
        content[place] = byte
    del content[data.draw(st.one_of(st.just(len(content)), places)) :]
    path = scratch / template
    path.write_bytes(content)
    assert_same_both_ways(str(path))
