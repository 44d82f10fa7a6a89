"""A file's fingerprint follows it wherever it goes, and changes with its content."""

import os
import random
import shutil

import pytest

from backend_worker.library.tags.fingerprint import fingerprint_of, read_chunks
from tests.unit.library.tags.files import copy_of, read

KIB = 1024


def fingerprint(content, folder):
    path = folder / "x"
    path.write_bytes(content)
    with open(path, "rb") as file:
        return fingerprint_of(len(content), read_chunks(file.fileno(), len(content)))


def test_a_moved_file_keeps_its_fingerprint(tmp_path):
    before = read(copy_of(tmp_path, "tone.mp3"))
    (tmp_path / "other").mkdir()
    moved = shutil.move(before.path, tmp_path / "other" / "renamed.mp3")
    os.utime(moved, (1, 1))
    after = read(str(moved))
    assert after.fingerprint == before.fingerprint
    assert len(bytes.fromhex(after.fingerprint)) == 16


@pytest.mark.parametrize("size", [1, 100, 48 * KIB, 48 * KIB + 1, 500 * KIB])
def test_a_changed_byte_at_head_middle_or_tail_changes_it(tmp_path, size):
    content = bytearray(random.Random(size).randbytes(size))
    seen = {fingerprint(bytes(content), tmp_path)}
    for place in {0, size // 2, size - 1}:
        changed = bytearray(content)
        changed[place] ^= 1
        seen.add(fingerprint(bytes(changed), tmp_path))
    assert len(seen) == 1 + len({0, size // 2, size - 1})


def test_the_length_counts(tmp_path):
    assert fingerprint(bytes(100 * KIB), tmp_path) != fingerprint(bytes(100 * KIB + 1), tmp_path)


def test_a_small_file_is_covered_whole(tmp_path):
    size = 48 * KIB
    content = bytearray(size)
    original = fingerprint(bytes(content), tmp_path)
    for place in range(0, size, 1000):
        content[place] = 1
        assert fingerprint(bytes(content), tmp_path) != original
        content[place] = 0
