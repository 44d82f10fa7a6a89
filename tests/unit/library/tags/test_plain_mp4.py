"""MP4 files, read the short way and by mutagen."""

import struct

import pytest
from mutagen.mp4 import MP4, MP4Cover

from tests.unit.library.tags.files import JPEG, UUID, assert_short, copy_of


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
