"""Looking at pictures and making thumbnails, with Pillow.

Only the tasks that handle pictures import this module: Pillow costs memory in each process.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

# WebPImagePlugin registers its format; Pillow would import all of its fifty otherwise.
from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin  # noqa: F401 - as said

from backend_worker.library.artwork import MAX_PICTURE_BYTES, THUMBNAIL_SIZES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.library.artwork.store import CoverStore

# Measured at these limits: a PNG with transparency takes 310 MiB while it is made smaller, a
# JPEG 15 MiB, a WebP 250 MiB.
MAX_PIXELS = 40_000_000
MAX_PIXELS_WEBP = 16_000_000

_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_QUALITY = 85
# What Pillow was seen to raise, or documents, for damaged pictures; anything else (a task's
# time limit, say) is no property of the picture.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)

# Pillow applies it where dimensions show up after the header too (frames of a GIF).
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


class UnusablePicture(ValueError):  # noqa: N818 - a finding about a file, not a program's fault
    """A picture that cannot be shown; the message says why, to follow "the picture"."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture's header says; width and height in pixels, before any rotation."""

    mime: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Rendered:
    """A picture with its encoded thumbnails: (size, suffix of the file name, bytes)."""

    picture: Picture
    thumbnails: tuple[tuple[int, str, bytes], ...]


def inspect(data: bytes) -> Picture:
    """Return what the header says; nothing is decoded.

    Raises:
        UnusablePicture: too large, of an unknown format, or damaged at the start.
    """
    with _opened(data) as image:
        return _facts(image)


def render(data: bytes) -> Rendered:
    """Decode a picture and make its thumbnails in memory, the first frame of an animation.

    They are upright (EXIF orientation applied), never larger than the picture, JPEG, or WebP
    if some part is transparent.

    Raises:
        UnusablePicture: see :func:`inspect`; or it is cut short or damaged further on.
    """
    with _opened(data) as image:
        facts = _facts(image)
        largest = max(THUMBNAIL_SIZES)
        shown = _upright(_without_palette(_shrunk(image, largest), largest))
        if shown.mode not in {"RGB", "RGBA"}:
            shown = shown.convert("RGBA" if shown.has_transparency_data else "RGB")
        if shown.mode == "RGBA" and shown.getchannel("A").getextrema()[0] == 255:
            shown = shown.convert("RGB")
        thumbnails = []
        for size in sorted(THUMBNAIL_SIZES, reverse=True):
            shown = shown.copy()
            shown.thumbnail((size, size), Image.Resampling.LANCZOS)
            thumbnails.append((size, *_encode(shown)))
        return Rendered(facts, tuple(thumbnails))


def store_picture(store: CoverStore, data: bytes) -> tuple[str, Picture]:
    """Put a picture with its thumbnails into the store; return (hash, facts).

    The original comes first; thumbnails that are missing after a power cut are made anew.

    Raises:
        UnusablePicture: nothing was stored.
        CoverStoreError: the store cannot be written.
    """
    rendered = render(data)
    with store.together():
        picture = store.put(data)
        for size, suffix, thumbnail in rendered.thumbnails:
            store.put_thumbnail(picture, size, suffix, thumbnail)
    return picture, rendered.picture


def make_thumbnails(store: CoverStore, picture: str) -> Picture:
    """Make the thumbnails of a picture that is in the store, and return its facts.

    Raises:
        UnusablePicture: the picture cannot be shown; nothing was stored.
        FileNotFoundError: it is not in the store.
        CoverStoreError: the store cannot be written.
    """
    return store_picture(store, store.read(picture))[1]


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Open a picture within limits; whatever its content makes Pillow raise is one error."""
    if len(data) > MAX_PICTURE_BYTES:
        raise UnusablePicture(
            f"has {len(data) / 2**20:.1f} MiB; the limit is {MAX_PICTURE_BYTES / 2**20:.0f} MiB"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                yield image
    except UnusablePicture:
        raise
    except UnidentifiedImageError as error:
        raise UnusablePicture("is not a JPEG, PNG, GIF, BMP or WebP picture") from error
    except _TOO_LARGE as error:
        raise _too_many_pixels(MAX_PIXELS) from error
    except _DAMAGE as error:
        raise UnusablePicture(f"is damaged: {error or type(error).__name__}") from error


def _too_many_pixels(limit: int) -> UnusablePicture:
    return UnusablePicture(f"has more than {limit // 1_000_000} megapixels")


def _facts(image: Image.Image) -> Picture:
    if image.format == "WEBP" and image.width * image.height > MAX_PIXELS_WEBP:
        raise _too_many_pixels(MAX_PIXELS_WEBP)
    return Picture(Image.MIME[image.format or ""], image.width, image.height)


def _shrunk(image: Image.Image, size: int) -> Image.Image:
    """Decode at once to roughly the size needed: a JPEG of 40 megapixels takes 10 MB then."""
    if image.format == "JPEG":
        image.draft(None, (2 * size, 2 * size))
    image.load()
    return image


def _without_palette(image: Image.Image, size: int) -> Image.Image:
    """Return true colours (a palette cannot be scaled smoothly), scaled as early as possible."""
    if image.mode.startswith("I;16"):
        image = image.point(lambda value: value / 256).convert("L")
    elif image.mode in {"P", "PA", "1"}:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    return image


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGE:
        return image  # damaged EXIF data is no reason to refuse the picture


def _encode(image: Image.Image) -> tuple[str, bytes]:
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "WEBP", quality=_QUALITY)
        return ".webp", buffer.getvalue()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return ".jpg", buffer.getvalue()
