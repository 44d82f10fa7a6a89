import hashlib
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library.artwork.store import CoverStore, CoverStoreError


@pytest.fixture
def store(tmp_path):
    return CoverStore(str(tmp_path))


def files_of(store):
    return sorted(
        str(path.relative_to(store.folder))
        for path in Path(store.folder).rglob("*")
        if path.is_file()
    )


def make_old(path, seconds=100_000):
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_a_picture_is_found_again_by_the_hash_of_its_content(store):
    picture = store.put(b"a picture")
    assert picture == hashlib.sha256(b"a picture").hexdigest()
    assert store.read(picture) == b"a picture"
    assert files_of(store) == [f"{picture[:2]}/{picture[2:4]}/{picture}"]


def test_the_same_picture_twice_is_stored_once_and_not_written_again(store):
    picture = store.put(b"a picture")
    before = os.stat(store.path(picture))
    assert store.put(b"a picture") == picture
    assert CoverStore(store.folder).put(b"a picture") == picture
    after = os.stat(store.path(picture))
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@given(pictures=st.lists(st.binary(max_size=20)))
def test_any_pictures_in_any_order(tmp_path_factory, pictures):
    store = CoverStore(str(tmp_path_factory.mktemp("store")))
    hashes = [store.put(data) for data in pictures]
    assert [store.read(picture) for picture in hashes] == pictures
    assert list(store.hashes()) == sorted(set(hashes))
    assert list(store.verify()) == []


def test_a_lost_picture_is_stored_again_by_another_task(store):
    picture = store.put(b"a picture")
    os.unlink(store.path(picture))
    CoverStore(store.folder).put(b"a picture")
    assert store.read(picture) == b"a picture"


def test_a_file_cut_short_by_the_file_system_is_replaced(store):
    picture = store.put(b"a picture")
    os.truncate(store.path(picture), 0)
    CoverStore(store.folder).put(b"a picture")
    assert store.read(picture) == b"a picture"


def test_a_picture_that_is_used_again_is_not_too_old_to_keep(store):
    picture = store.put(b"a picture")
    make_old(store.path(picture))
    CoverStore(store.folder).put(b"a picture")
    assert not store.remove(picture, min_age_seconds=3600)
    assert store.read(picture) == b"a picture"


def test_a_picture_is_never_seen_half_written(store):
    data = os.urandom(3_000_000)
    picture = hashlib.sha256(data).hexdigest()
    seen = []

    def look():
        while not seen:
            try:
                seen.append(store.read(picture))
            except FileNotFoundError:
                time.sleep(0.0001)

    reader = threading.Thread(target=look)
    reader.start()
    store.put(data)
    reader.join()
    assert seen == [data]


def test_a_disk_without_room_leaves_nothing_behind(store):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(CoverStoreError, match=f"cover store {store.folder}"):
            store.put(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_of(store) == []
    assert list(store.hashes()) == []


def test_a_full_disk_is_named(store, monkeypatch):
    def fsync(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)  # a full file system cannot be had without root
    with pytest.raises(CoverStoreError, match="is full") as caught:
        store.put(b"a picture")
    assert caught.value.errno == 28
    assert files_of(store) == []


def test_a_missing_folder_is_named_and_not_made(tmp_path):
    store = CoverStore(str(tmp_path / "not-mounted"))
    with pytest.raises(CoverStoreError, match=r"folder .*not-mounted is missing") as caught:
        store.put(b"a picture")
    # to the reader of a music file this would mean that the music has vanished
    assert not isinstance(caught.value, FileNotFoundError)
    assert not (tmp_path / "not-mounted").exists()
    with pytest.raises(CoverStoreError, match="missing"):
        list(store.hashes())


def test_an_interrupted_write_leaves_nothing_behind(store, monkeypatch):
    def fsync(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeyboardInterrupt):
        store.put(b"a picture")
    assert files_of(store) == []


def test_pictures_together_are_on_the_disk_before_any_has_its_name(store, monkeypatch):
    calls = []
    count = 20
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))
        )
    data = [str(number).encode() for number in range(count)]
    open_files = len(os.listdir("/proc/self/fd"))
    with store.together():
        pictures = [store.put(each) for each in data + data[:1]]
        assert list(store.hashes()) == []
    assert len(os.listdir("/proc/self/fd")) == open_files
    assert [store.read(picture) for picture in pictures] == data + data[:1]
    assert len(files_of(store)) == count
    assert calls == ["fsync"] * count + ["replace"] * count


def put_together(store, *pictures):
    with store.together():
        for picture in pictures:
            store.put(picture)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_pictures_together_are_not_stored_when_the_disk_fails(store, monkeypatch, error):
    def fsync(_descriptor):
        raise error

    before = store.put(b"before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises((KeyboardInterrupt, CoverStoreError)):
            put_together(store, b"one", b"another")
    assert list(store.hashes()) == [before]
    assert len(files_of(store)) == 1
    another = store.put(b"another")  # it is not taken for stored
    assert store.read(another) == b"another"


def test_pictures_together_are_not_stored_when_the_work_on_them_fails(store):
    with pytest.raises(TypeError):
        put_together(store, b"one", "no bytes")
    assert files_of(store) == []
    assert store.read(store.put(b"one")) == b"one"


def test_leftovers_of_a_killed_writer_are_no_pictures_and_are_removed(store):
    picture = store.put(b"a picture")
    leftover = os.path.join(os.path.dirname(store.path(picture)), ".tmp-abc")
    Path(leftover).write_bytes(b"half")
    assert list(store.hashes()) == [picture]
    assert store.remove_leftovers() == 0  # its writer may be alive
    make_old(leftover)
    assert store.remove_leftovers() == 1
    assert files_of(store) == [f"{picture[:2]}/{picture[2:4]}/{picture}"]


def test_verify_finds_exactly_the_damaged_pictures(store):
    pictures = [store.put(str(number).encode()) for number in range(20)]
    for damaged in pictures[3:5]:
        Path(store.path(damaged)).write_bytes(b"something else")
    assert sorted(store.verify()) == sorted(pictures[3:5])


def test_thumbnails_lie_beside_the_picture_and_go_with_it(store):
    picture, other = store.put(b"a picture"), store.put(b"another")
    assert store.thumbnail_path(picture, 150).endswith(f"{picture}-150.jpg")
    assert not store.is_complete(picture)
    for size in (500, 150):
        store.put_thumbnail(picture, size, ".webp", b"small")
        assert store.thumbnail_path(picture, size).endswith(f"{picture}-{size}.webp")
    assert store.is_complete(picture)
    assert list(store.verify()) == []
    assert store.remove(picture)
    assert list(store.hashes()) == [other]
    assert len(files_of(store)) == 1


def test_removing_what_is_not_there_is_no_error(store):
    assert store.remove("0" * 64)
    assert store.remove("0" * 64, min_age_seconds=60)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_only_hashes_name_pictures(store, name):
    for use in (store.path, store.read, store.remove, lambda n: store.thumbnail_path(n, 150)):
        with pytest.raises(ValueError, match="not the SHA-256"):
            use(name)


def test_the_store_does_not_import_pillow():
    code = "import sys, backend_worker.library.artwork.store, backend_worker.library.artwork.folder"
    code += "; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
