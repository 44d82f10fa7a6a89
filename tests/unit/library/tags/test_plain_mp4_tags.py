"""The tags of MP4 files, read the short way and by mutagen."""

import io
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.mp4 import MP4Tags
from mutagen.mp4._atom import Atoms

from backend_worker.library.tags.plain import NotPlainError
from backend_worker.library.tags.plain_mp4_tags import plain_mp4_tags
from backend_worker.library.tags.slots import slots_of


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
