import contextlib
import io
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend_worker.library.artwork import MAX_PICTURE_BYTES
from backend_worker.library.artwork.images import (
    UnusablePicture,
    inspect,
    make_thumbnails,
    render,
    store_picture,
)
from backend_worker.library.artwork.store import CoverStore
from tests.support.pictures import encoded, opened, picture, png_of

RED = (200, 30, 30)


def thumbnails(data):
    return {size: (suffix, opened(small)) for size, suffix, small in render(data).thumbnails}


def is_near(pixel, colour, tolerance=12):
    return all(abs(one - other) <= tolerance for one, other in zip(pixel, colour, strict=True))


@pytest.mark.parametrize(
    ("form", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
        ("BMP", "image/bmp"),
    ],
)
def test_every_format_gives_two_thumbnails(form, mime):
    data = picture((1200, 800), form=form)
    assert inspect(data) == render(data).picture
    assert (inspect(data).mime, inspect(data).width, inspect(data).height) == (mime, 1200, 800)
    small = thumbnails(data)
    assert {size: image.size for size, (_, image) in small.items()} == {
        500: (500, 333),
        150: (150, 100),
    }
    for suffix, image in small.values():
        assert suffix == ".jpg"
        assert image.format == "JPEG"
        assert is_near(image.getpixel((75, 50)), RED)


def test_a_small_picture_is_not_enlarged():
    assert [image.size for _, image in thumbnails(picture((300, 200))).values()] == [
        (300, 200),
        (150, 100),
    ]
    assert [image.size for _, image in thumbnails(picture((1, 1))).values()] == [(1, 1), (1, 1)]


def test_an_extreme_shape_keeps_a_pixel():
    assert [image.size for _, image in thumbnails(picture((3000, 1), form="PNG")).values()] == [
        (500, 1),
        (150, 1),
    ]


def test_the_orientation_of_exif_is_applied():
    image = Image.new("RGB", (900, 600), (0, 0, 255))
    image.paste(RED, (0, 0, 900, 100))  # the upper edge as stored
    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn to the right
    _, small = thumbnails(encoded(image, exif=exif))[500]
    assert small.size == (333, 500)
    assert is_near(small.getpixel((325, 250)), RED)
    assert is_near(small.getpixel((10, 250)), (0, 0, 255))
    assert not small.getexif()  # or it would be turned once more


def test_damaged_exif_data_is_no_reason_to_refuse():
    data = encoded(Image.new("RGB", (600, 600), RED), exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert thumbnails(data)[500][1].size == (500, 500)


def test_cmyk_becomes_rgb():
    data = encoded(Image.new("CMYK", (600, 600), (0, 255, 255, 0)))  # red in print
    _, small = thumbnails(data)[500]
    assert small.mode == "RGB"
    assert is_near(small.getpixel((250, 250)), (254, 0, 0))


@pytest.mark.parametrize("mode", ["L", "1", "P", "I;16"])
def test_grey_and_palette_pictures(mode):
    data = encoded(Image.new("L", (600, 600), 128).convert(mode.replace("I;16", "L")), "PNG")
    if mode == "I;16":
        data = encoded(Image.new("I;16", (600, 600), 128 * 256), "PNG")
    _, small = thumbnails(data)[500]
    assert small.mode == "RGB"
    if mode != "1":  # black and white dots
        assert is_near(small.getpixel((250, 250)), (128, 128, 128))


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_transparency_is_kept_and_only_then_webp_is_used(form):
    image = Image.new("RGBA", (600, 600), (*RED, 255))
    assert thumbnails(encoded(image, form))[500][0] == ".jpg"
    image.paste((0, 0, 0, 0), (0, 0, 300, 600))
    suffix, small = thumbnails(encoded(image, form))[500]
    assert (suffix, small.format, small.mode) == (".webp", "WEBP", "RGBA")
    assert small.getpixel((20, 250))[3] == 0
    assert is_near(small.getpixel((480, 250)), (*RED, 255))


def test_a_palette_with_a_transparent_colour():
    image = Image.new("P", (600, 600), 1)
    image.putpalette([0, 0, 0, *RED])
    image.paste(0, (0, 0, 300, 600))
    suffix, small = thumbnails(encoded(image, "GIF", transparency=0))[500]
    assert suffix == ".webp"
    assert small.getpixel((20, 250))[3] == 0


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_shown(form):
    frames = [Image.new("RGB", (600, 600), colour) for colour in (RED, (0, 0, 255), (0, 255, 0))]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
    assert opened(data).n_frames == 3
    assert is_near(thumbnails(data)[500][1].getpixel((250, 250)), RED)


def test_a_bomb_is_refused_by_its_header():
    bomb = png_of(30_000, 30_000)
    assert len(bomb) < 200
    for look in (inspect, render):
        with pytest.raises(UnusablePicture, match="more than 40 megapixels"):
            look(bomb)
    with pytest.raises(UnusablePicture, match="more than 40 megapixels"):
        inspect(png_of(6400, 6400))  # a little too large, not only absurd
    assert inspect(png_of(6300, 6300)).width == 6300


def test_looking_at_a_bomb_takes_no_memory():
    code = (
        "import resource\n"
        "from backend_worker.library.artwork.images import UnusablePicture, render\n"
        "from tests.support.pictures import png_of\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    render(png_of(30_000, 30_000))\n"
        "except UnusablePicture:\n    pass\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert int(result.stdout) < 20 * 1024  # KiB


def test_a_large_jpeg_is_decoded_small():
    # a JPEG can be decoded at an eighth of its size; 36 megapixels would take 144 MB else
    code = (
        "import resource, sys\n"
        "from backend_worker.library.artwork.images import render\n"
        "data = sys.stdin.buffer.read()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert render(data).picture.width == 6000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    data = picture((6000, 6000))
    result = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True
    )
    assert int(result.stdout) < 40 * 1024  # KiB


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JPEG"),
        (b"<html>no such picture</html>", "not a JPEG"),
        (b"\xff\xd8\xff", "not a JPEG"),
        (bytes(MAX_PICTURE_BYTES + 1), "the limit is 20 MiB"),
        (picture(form="TIFF"), "not a JPEG"),  # no browser shows it
        (picture(form="PNG")[:-30], "damaged"),
        (png_of(100, 100), "damaged"),  # fewer pixels than promised
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(data, reason):
    with pytest.raises(UnusablePicture, match=reason):
        render(data)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_truncated_jpeg_is_refused_although_its_header_is_whole(part):
    noise = Image.effect_noise((700, 700), 90).convert("RGB")
    data = encoded(noise)
    data = data[: int(len(data) * part)]
    assert inspect(data).width == 700
    with pytest.raises(UnusablePicture, match=r"damaged.*truncated"):
        render(data)


WHOLE = {form: picture((40, 30), form=form) for form in ("JPEG", "PNG", "GIF", "WEBP", "BMP")}


@given(form=st.sampled_from(sorted(WHOLE)), data=st.data())
def test_damage_anywhere_is_unusable_or_harmless(form, data):
    damaged = bytearray(WHOLE[form])
    where = data.draw(st.integers(0, len(damaged) - 1))
    length = data.draw(st.integers(1, 16))
    damaged[where : where + length] = data.draw(st.binary(max_size=16))
    with contextlib.suppress(UnusablePicture):
        assert len(render(bytes(damaged)).thumbnails) == 2


def test_storing_puts_the_picture_and_its_thumbnails(tmp_path):
    store = CoverStore(str(tmp_path))
    data = picture((800, 800))
    digest, facts = store_picture(store, data)
    assert store.read(digest) == data
    assert (facts.mime, facts.width, facts.height) == ("image/jpeg", 800, 800)
    for size in (500, 150):
        with open(store.thumbnail_path(digest, size), "rb") as file:
            assert Image.open(io.BytesIO(file.read())).size == (size, size)
    assert store.is_complete(digest)


def test_what_cannot_be_shown_is_not_stored(tmp_path):
    store = CoverStore(str(tmp_path))
    with pytest.raises(UnusablePicture):
        store_picture(store, picture()[:300])
    assert list(store.hashes()) == []


def test_thumbnails_of_a_stored_picture(tmp_path):
    store = CoverStore(str(tmp_path))
    digest = store.put(picture((800, 800), form="PNG"))
    assert make_thumbnails(store, digest).mime == "image/png"
    assert store.is_complete(digest)
    with pytest.raises(FileNotFoundError):
        make_thumbnails(store, "0" * 64)
