"""Headers of MPEG audio, read the short way and by mutagen."""

import io
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.mp3 import MPEGInfo

from backend_worker.library.tags.plain_mpeg import plain_mpeg_info
from tests.unit.library.tags.files import TEMPLATES

AUDIO = TEMPLATES["tone.mp3"].read_bytes()


XING = AUDIO.index(b"Info")


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
