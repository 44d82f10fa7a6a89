"""ID3v2 tags, read the short way and by mutagen."""

import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen import id3

from backend_worker.library.tags.id3 import ID3_OPTIONS
from backend_worker.library.tags.plain_id3 import plain_id3
from backend_worker.library.tags.slots import slots_of
from tests.unit.library.tags.files import (
    FRAMES,
    UUID,
    assert_short,
    copy_of,
    id3_frame,
    id3_tag,
    read,
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


def assert_same_id3(tag):
    """Compare what is made of a tag before it is cleaned; return whether it is a plain one."""
    plain = plain_id3(tag)
    if plain is None:
        return False
    expected = id3.ID3(io.BytesIO(tag), **ID3_OPTIONS)
    assert slots_of(plain) == slots_of(expected)
    pictures = [(frame.type, frame.mime, frame.data) for frame in expected.getall("APIC")]
    assert plain.pictures == pictures
    assert plain.size == expected.size
    return True


@settings(max_examples=700, suppress_health_check=list(HealthCheck))
@given(tag=TAGS)
def test_id3_of_odd_frames(tag):
    assert_same_id3(tag)


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
    assert plain_id3(tag) is None
