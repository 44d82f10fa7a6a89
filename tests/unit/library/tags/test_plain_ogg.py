"""Ogg files, read the short way and by mutagen."""

import base64

import pytest
from mutagen.flac import Picture
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis

from tests.unit.library.tags.files import TEMPLATES, assert_same_both_ways, assert_short, copy_of


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
