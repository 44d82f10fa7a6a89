"""Small invented covers. The only module of the sample library that imports Pillow."""

from __future__ import annotations

import colorsys
import functools
import io
import random
from typing import Any

from PIL import Image, ImageDraw, ImageOps

SIZE = 300  # pixels, both ways
_SAVE: dict[str, dict[str, Any]] = {
    ".jpg": {"format": "JPEG", "quality": 60},
    ".png": {"format": "PNG", "optimize": True},
    ".webp": {"format": "WEBP", "quality": 50, "method": 2},
}


@functools.lru_cache(maxsize=8)
def picture(seed: str, extension: str) -> bytes:
    """Return a cover as a file's bytes, at most 10 kB; the same seed gives the same picture.

    Args:
        seed: any text; covers of different seeds differ.
        extension: ".jpg", ".png" or ".webp".
    """
    rng = random.Random(f"picture {seed}")  # noqa: S311 - art, not secrets
    hue = rng.random()
    if extension == ".png":  # few flat colours: what PNG packs well
        image = Image.new("RGB", (SIZE, SIZE), _colour(hue, 0.35))
    else:
        gradient = Image.linear_gradient("L").rotate(90 * rng.randrange(4)).resize((SIZE, SIZE))
        image = ImageOps.colorize(gradient, _colour(hue, 0.25), _colour(hue + 0.1, 0.8))
    draw = ImageDraw.Draw(image)
    for number in range(5):
        x, y, size = rng.randrange(SIZE), rng.randrange(SIZE), rng.randrange(30, 140)
        shape = draw.ellipse if rng.random() < 0.6 else draw.rectangle
        shape((x - size, y - size, x + size, y + size), fill=_colour(hue + number * 0.13, 0.6))
    if extension == ".png":
        image = image.quantize(16)
    buffer = io.BytesIO()
    image.save(buffer, **_SAVE[extension])
    return buffer.getvalue()


def _colour(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, 0.6, value)
    return round(red * 255), round(green * 255), round(blue * 255)
