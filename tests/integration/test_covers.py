"""Covers and artist images: which picture is taken, and what is kept of it."""

import os
import shutil

import mutagen.id3
import pytest

from backend_worker.library.artwork.store import digest
from backend_worker.library.sample import make_library
from backend_worker.progress import events
from backend_worker.progress.connection import redis_client
from backend_worker.storage import artwork
from backend_worker.tasks.covers import (
    extract_embedded,
    process_album_covers,
    process_artist_images,
)
from backend_worker.tasks.delivery import count_delivery
from tests.support.collection import artist_id, collection, cover, image, written
from tests.support.pictures import picture

RELEASE = "11111111-0000-4000-8000-000000000001"
GROUP = "22222222-0000-4000-8000-000000000001"
RED, GREEN, BLUE = (picture(colour=colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255)))


@pytest.fixture
def shelf(library, tmp_path):
    with collection(tmp_path) as made:
        yield made


def test_embedded_picture_comes_before_the_folder_and_the_archive(shelf):
    album = shelf.add("A", "One", pictures=(None, RED), mbid=RELEASE)
    written(shelf.folder("A", "One"), "cover.jpg", GREEN)
    shelf.archive.pictures[f"release/{RELEASE}"] = BLUE
    process_album_covers([album])
    assert cover(album) == (digest(RED), "embedded")
    assert shelf.archive.paths == []
    assert shelf.store.is_complete(digest(RED))


def test_picture_in_the_folder_comes_before_the_archive(shelf):
    album = shelf.add("A", "One", mbid=RELEASE)
    written(shelf.folder("A", "One"), "Folder.JPG", GREEN)
    process_album_covers([album])
    assert cover(album) == (digest(GREEN), "folder")
    assert shelf.archive.paths == []


def test_archive_is_asked_for_the_release_then_for_its_group(shelf):
    album = shelf.add("A", "One", mbid=RELEASE, release_group_mbid=GROUP)
    shelf.archive.pictures[f"release-group/{GROUP}"] = BLUE
    process_album_covers([album])
    assert cover(album) == (digest(BLUE), "cover-art-archive")
    assert shelf.archive.paths == [
        f"/release/{RELEASE}/front-500",
        f"/release-group/{GROUP}/front-500",
    ]


def test_pictures_that_cannot_be_shown_are_passed_over_and_remembered(shelf):
    embedded = shelf.add("A", "One", pictures=(RED[:200], GREEN))
    in_folder = shelf.add("A", "Two")
    written(shelf.folder("A", "Two"), "cover.jpg", b"no picture")
    written(shelf.folder("A", "Two"), "front.jpg", BLUE)
    process_album_covers([embedded, in_folder])
    assert cover(embedded) == (digest(GREEN), "embedded")
    assert cover(in_folder) == (digest(BLUE), "folder")
    for data in (RED[:200], b"no picture"):
        assert artwork.known_pictures([digest(data)])[digest(data)]


def test_picture_that_crashes_its_decoder_is_given_up(shelf):
    album = shelf.add("A", "One", pictures=(RED,))
    for _ in range(2):  # as two processes that died while decoding it
        count_delivery(f"picture-{digest(RED)}")
    process_album_covers([album])
    assert cover(album) == (None, None)
    known = artwork.known_pictures([digest(RED)])
    assert known == {digest(RED): "crashed its decoder each time"}


def test_second_run_changes_and_announces_nothing(shelf):
    album = shelf.add("A", "One", pictures=(RED,))
    process_album_covers([album])
    before = events.read()
    assert [event["kind"] for event in before] == ["cover.stored", "cover.stored"]
    assert [event.get("album") or event["artist"] for event in before] == [album, artist_id("A")]
    process_album_covers([album])
    assert events.read() == before


def test_new_picture_in_the_folder_replaces_the_old_one(shelf):
    album = shelf.add("A", "One")
    written(shelf.folder("A", "One"), "cover.jpg", RED)
    process_album_covers([album])
    written(shelf.folder("A", "One"), "cover.jpg", GREEN)
    process_album_covers([album])
    assert cover(album) == (digest(GREEN), "folder")


def test_artist_gets_the_cover_of_an_album_until_there_is_an_image(shelf):
    album = shelf.add("A", "One", pictures=(RED,))
    without = shelf.add("B", "Two")
    process_album_covers([album, without])
    assert image("A") == (digest(RED), "album")
    assert image("B") == (None, None)
    written(shelf.music / "A", "artist.jpg", GREEN)
    process_artist_images([artist_id("A")])
    assert image("A") == (digest(GREEN), "folder")
    process_album_covers([album])
    assert image("A") == (digest(GREEN), "folder")


def test_picture_above_the_discs_is_the_album_s(shelf):
    album = shelf.add("A", "One", discs=("CD1", "CD2"), disc_total=2)
    written(shelf.folder("A", "One"), "cover.jpg", RED)
    process_album_covers([album])
    assert cover(album) == (digest(RED), "folder")


def test_picture_among_many_albums_is_nobody_s(shelf):
    heap = [shelf.add("A", f"Title {number}", folder="heap") for number in range(4)]
    few = [shelf.add("B", f"Title {number}", folder="heap/few") for number in range(3)]
    written(shelf.music / "heap", "cover.jpg", RED)
    written(shelf.music / "heap/few", "cover.jpg", GREEN)
    process_album_covers(heap + few)
    assert {cover(album) for album in heap} == {(None, None)}
    assert {cover(album) for album in few} == {(digest(GREEN), "folder")}


def test_folder_with_a_name_that_is_not_utf8(shelf):
    name = os.fsdecode(b"D\xe9but")
    album = shelf.add("A", "One", folder=name)
    written(os.path.join(shelf.music, name), "cover.jpg", RED)
    process_album_covers([album])
    assert cover(album) == (digest(RED), "folder")


def test_ids_may_be_text_and_unknown_ones_are_left_out(shelf):
    album = shelf.add("A", "One", pictures=(RED,))
    process_album_covers([str(album), 999, 2**70])
    process_artist_images("999")
    assert cover(album) == (digest(RED), "embedded")


def test_many_ids_are_cut_into_messages_of_a_minute_s_work(shelf):
    process_album_covers(list(range(1, 121)))
    process_artist_images(list(range(1, 52)))
    assert redis_client().llen("covers") == 3 + 2


def test_missing_store_is_told_in_a_sentence_and_changes_nothing(shelf, caplog):
    album = shelf.add("A", "One")
    written(shelf.folder("A", "One"), "cover.jpg", RED)
    shelf.configure(COVER_DIR="/nonexistent/covers")
    process_album_covers([album])
    assert "folder /nonexistent/covers is missing: create it" in caplog.text
    assert cover(album) == (None, None)


def test_embedded_pictures_are_read_again_on_request(shelf, tmp_path):
    make_library(str(tmp_path / "sample"), tracks=1)
    album = shelf.add("A", "One")
    path = str(shelf.folder("A", "One") / "1-1.mp3")
    shutil.copy(next((tmp_path / "sample").rglob("*.mp3")), path)
    tags = mutagen.id3.ID3()
    tags.add(mutagen.id3.APIC(mime="image/jpeg", type=3, data=RED))
    tags.save(path)
    extract_embedded([path, "/nonexistent.mp3"])
    assert redis_client().llen("covers") == 1
    process_album_covers([album])
    assert cover(album) == (digest(RED), "embedded")
