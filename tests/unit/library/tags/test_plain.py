"""FLAC files, read the short way and by mutagen."""

import pytest
from mutagen.flac import FLAC, Picture

from tests.unit.library.tags.files import JPEG, assert_same_both_ways, assert_short, copy_of


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
