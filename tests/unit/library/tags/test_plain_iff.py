"""AIFF and WAV files, read the short way and by mutagen."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.aiff import AIFF
from mutagen.wave import WAVE

from tests.unit.library.tags.files import (
    FRAMES,
    TEMPLATES,
    assert_same_both_ways,
    assert_short,
    copy_of,
    id3_frame,
    id3_tag,
    read,
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


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
