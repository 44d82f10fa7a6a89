"""Files made to do harm, or damaged so that they do: bounded memory, bounded time."""

import resource
import struct
import subprocess
import sys
import zlib

import pytest

from backend_worker.library.tags import UnreadableFile
from backend_worker.library.tags.id3 import LONGEST_TEXT, MOST_UNPACKED
from tests.unit.library.tags.files import (
    JPEG,
    TEMPLATES,
    cover_of,
    id3_frame,
    id3_tag,
    read,
)

AUDIO = TEMPLATES["tone.mp3"].read_bytes()
# flags of a frame: compressed, with the length that it has unpacked (ID3v2.4 4.1.2, 2.3 3.3.1)
COMPRESSED = {4: 0x0009, 3: 0x0080}
TITLE = b"\3A title"
MOST_MEMORY = 120 * 2**20  # bytes that reading may add


def compressed(version, name, data):
    length = struct.pack(">I", len(data))
    if version == 4:
        length = bytes(len(data) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return id3_frame(version, name, length + zlib.compress(data), flags=COMPRESSED[version])


def mp3(folder, version, *frames):
    path = folder / "x.mp3"
    path.write_bytes(id3_tag(version, frames) + AUDIO)
    return str(path)


READ = """
import os, resource, sys
from backend_worker.library.tags import read_track
def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = memory()
for path in sys.argv[1:]:
    track = read_track(path, os.stat(path).st_size, 0, store_picture=lambda _data: "")
    print(memory() - before, track.title, track.album, track.duration, sep="|")
"""


def test_a_compressed_frame_that_unpacks_to_300_mb(tmp_path):
    """Its content is left out, the rest is read (0.3 MB of a file took 929 MB and 5 s)."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(b"a" * 2**20) for _ in range(300)) + packer.flush()
    paths = []
    for version, flags in COMPRESSED.items():
        for name in (b"TIT2", b"TXXX", b"APIC", b"GEOB", b"COMM"):
            bomb = id3_frame(version, name, bytes(4) + packed, flags=flags)
            album = id3_frame(version, b"TALB", b"\0An album")
            paths.append(tmp_path / f"{version}{name.decode()}.mp3")
            paths[-1].write_bytes(id3_tag(version, [album, bomb]) + AUDIO)
    run = subprocess.run(
        [sys.executable, "-c", READ, *paths], capture_output=True, check=True, text=True
    )
    lines = [line.split("|") for line in run.stdout.splitlines()]
    assert [line[1:] for line in lines] == [["None", "An album", "1.254"]] * len(paths)
    assert int(lines[-1][0]) < MOST_MEMORY


def test_many_compressed_pictures_share_one_bound(tmp_path):
    picture = b"\0image/jpeg\0\3\0" + bytes(MOST_UNPACKED // 2)
    frames = [
        compressed(4, b"APIC", picture[:11] + bytes([kind]) + picture[12:]) for kind in range(6)
    ]
    path = mp3(tmp_path, 4, *frames, id3_frame(4, b"TIT2", TITLE))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(path).title == "A title"
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 2 * MOST_MEMORY


@pytest.mark.parametrize("version", [3, 4])
def test_an_ordinary_compressed_frame_is_read(tmp_path, version):
    picture = b"\0image/jpeg\0\3\0" + JPEG * 1000
    title = compressed(version, b"TIT2", b"\0A title")
    path = mp3(tmp_path, version, title, compressed(version, b"APIC", picture))
    assert read(path).title == "A title"
    assert cover_of(path) == JPEG * 1000


@pytest.mark.parametrize("size", [LONGEST_TEXT - 1, LONGEST_TEXT + 1])
def test_a_text_is_read_up_to_a_bound(tmp_path, size):
    lyrics = b"\0eng\0" + b"a" * (size - 5)
    path = mp3(tmp_path, 4, id3_frame(4, b"USLT", lyrics), id3_frame(4, b"TIT2", TITLE))
    track = read(path)
    assert track.title == "A title"
    assert track.has_lyrics == (size <= LONGEST_TEXT)


MPCK = bytes.fromhex(
    "4d50434b 5348 0f ef2a2981 08 84835e00 051b 00 5247 0c 01 457d5acc457d5acc 4549 07 51011e00"
    "534f 08 4400000000 4150 04 1c"
)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:6] + b"\0" + data[7:], id="stream header of length 0"),
        pytest.param(lambda data: data[:6] + b"\2" + data[7:], id="shorter than its header"),
        pytest.param(lambda data: b"MPCK" + b"XX\0" * 100, id="of a key nobody knows"),
        pytest.param(lambda data: b"MPCK" + b"XX\x80\x80\0" * 100, id="long zero"),
        pytest.param(lambda data: b"MPCK" + b"XX\3" * 2000 + data[4:], id="too many"),
        pytest.param(lambda data: b"MPCK" + b"XX" + b"\xff" * 20, id="length without end"),
    ],
)
def test_a_musepack_file_whose_packets_lead_back(tmp_path, damage):
    path = tmp_path / "x.mpc"
    path.write_bytes(damage(MPCK) + bytes(100))
    with pytest.raises(UnreadableFile, match=r"damaged: .*packet"):
        read(str(path))
