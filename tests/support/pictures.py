"""Pictures for tests, made with Pillow."""

import io
import struct
import zlib

from PIL import Image


def encoded(image, form="JPEG", **options):
    """Return an image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def picture(size=(600, 400), colour=(200, 30, 30), form="JPEG", mode="RGB"):
    """Return a picture of one colour as the bytes of a file."""
    return encoded(Image.new(mode, size, colour), form)


def opened(data):
    """Return the decoded image of some bytes."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def png_of(width, height):
    """Return a small PNG whose header promises so many pixels."""

    def chunk(kind, content):
        body = kind + content
        return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")
