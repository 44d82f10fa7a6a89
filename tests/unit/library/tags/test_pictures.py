"""The front cover comes out of every format that holds pictures."""

import base64
import struct
import tracemalloc

import pytest
from mutagen.apev2 import APEv2
from mutagen.asf import ASF, ASFByteArrayAttribute
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3
from mutagen.mp4 import MP4, MP4Cover
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wavpack import WavPack

from tests.unit.library.tags.files import JPEG, OTHER_JPEG, copy_of, cover_of, read

BACK, FRONT = 4, 3
MIME = "image/jpeg"


def apic(kind, data, mime=MIME):
    return APIC(encoding=3, mime=mime, type=kind, desc=f"picture {kind}", data=data)


def block(kind, data, mime=MIME):
    picture = Picture()
    picture.type, picture.mime, picture.data = kind, mime, data
    return picture


def wm_picture(kind, data, mime=MIME, description="Ā"):
    texts = mime.encode("utf-16-le") + b"\0\0" + description.encode("utf-16-le") + b"\0\0"
    return ASFByteArrayAttribute(struct.pack("<BI", kind, len(data)) + texts + data)


def save_id3(path, pictures):
    tags = ID3()
    for kind, data, mime in pictures:
        tags.add(apic(kind, data, mime))
    tags.save(path)


def save_flac(path, pictures):
    file = FLAC(path)
    for kind, data, mime in pictures:
        file.add_picture(block(kind, data, mime))
    file.save()


def save_opus(path, pictures):
    file = OggOpus(path)
    blocks = [base64.b64encode(block(*picture).write()).decode() for picture in pictures]
    file["METADATA_BLOCK_PICTURE"] = blocks
    file.save()


def save_asf(path, pictures):
    file = ASF(path)
    file["WM/Picture"] = [wm_picture(*picture) for picture in pictures]
    file.save()


SAVERS = [
    ("tone.mp3", save_id3),
    ("tone.flac", save_flac),
    ("tone.opus", save_opus),
    ("tone.wma", save_asf),
]


@pytest.mark.parametrize(("template", "save"), SAVERS)
class TestFormatsWithTypes:
    def test_the_front_cover_comes_before_the_others(self, tmp_path, template, save):
        path = copy_of(tmp_path, template)
        save(path, [(BACK, OTHER_JPEG, MIME), (FRONT, JPEG, MIME)])
        assert cover_of(path) == JPEG

    def test_without_a_front_cover_the_first_picture_counts(self, tmp_path, template, save):
        path = copy_of(tmp_path, template)
        save(path, [(BACK, OTHER_JPEG, MIME), (5, JPEG, MIME)])
        assert cover_of(path) == OTHER_JPEG

    def test_empty_pictures_and_links_are_passed_over(self, tmp_path, template, save):
        path = copy_of(tmp_path, template)
        link = (FRONT, b"http://example.org/cover.jpg", "-->")
        save(path, [link, (8, b"", MIME), (BACK, OTHER_JPEG, MIME)])
        assert cover_of(path) == OTHER_JPEG

    def test_a_file_without_pictures_has_none(self, tmp_path, template, save):
        path = copy_of(tmp_path, template)
        save(path, [])
        assert cover_of(path) is None


def test_mp4(tmp_path):
    path = copy_of(tmp_path, "tone-aac.m4a")
    file = MP4(path)
    file["covr"] = [MP4Cover(b""), MP4Cover(JPEG), MP4Cover(OTHER_JPEG)]
    file.save()
    assert cover_of(path) == JPEG


def test_ape(tmp_path):
    path = copy_of(tmp_path, "tone.wv")
    file = WavPack(path)
    file.add_tags()
    file["Cover Art (Back)"] = b"back.jpg\0" + OTHER_JPEG
    file["Cover Art (Front)"] = b"front.jpg\0" + JPEG
    file.save()
    assert cover_of(path) == JPEG


def test_ape_beside_an_mp3s_id3(tmp_path):
    path = copy_of(tmp_path, "tone.mp3")
    tags = APEv2()
    tags["Cover Art (Front)"] = b"front.jpg\0" + JPEG
    tags.save(path)
    assert cover_of(path) == JPEG


def test_the_old_coverart_comment(tmp_path):
    path = copy_of(tmp_path, "tone.ogg")
    file = OggVorbis(path)
    file["COVERART"] = base64.b64encode(JPEG).decode()
    file.save()
    assert cover_of(path) == JPEG


@pytest.mark.parametrize("broken", ["", "%%%", "AAAA", "AAAAAwAAAA", "äöü"])
def test_a_block_that_cannot_be_decoded_is_passed_over(tmp_path, broken):
    path = copy_of(tmp_path, "tone.opus")
    file = OggOpus(path)
    good = base64.b64encode(block(BACK, JPEG).write()).decode()
    file["METADATA_BLOCK_PICTURE"] = [broken, good]
    file.save()
    assert cover_of(path) == JPEG


def test_what_the_store_raises_is_passed_on(tmp_path):
    path = copy_of(tmp_path, "tone.mp3")
    save_id3(path, [(FRONT, JPEG, MIME)])

    class FullDisk:
        def put(self, _data):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        read(path, FullDisk())


@pytest.mark.parametrize(("template", "save"), SAVERS[:3])
def test_a_picture_of_8_mib_costs_a_few_times_its_size(tmp_path, template, save):
    path = copy_of(tmp_path, template)
    size = 8 * 1024 * 1024
    save(path, [(FRONT, JPEG + bytes(size), MIME)])
    read(path)
    tracemalloc.start()
    try:
        assert read(path).picture
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6 * size
