import os

import pytest

from backend_worker.library.artwork import MAX_PICTURE_BYTES
from backend_worker.library.artwork.folder import album_images, artist_images, read_image


@pytest.fixture
def music(tmp_path):
    class Music:
        def path(self, name):
            return os.path.join(str(tmp_path), name)

        def add(self, *names, data=b"picture"):
            for name in names:
                os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
                with open(self.path(name), "wb") as file:
                    file.write(data)

        def album(self, *directories, **options):
            images = album_images([self.path(name) for name in directories], **options)
            return [os.path.relpath(path, str(tmp_path)) for path in images]

        def artist(self, *directories):
            images = artist_images([self.path(name) for name in directories])
            return [os.path.relpath(path, str(tmp_path)) for path in images]

    return Music()


def test_the_names_in_their_order(music):
    music.add("A/album.jpg", "A/front.jpg", "A/folder.jpg", "A/cover.jpg", "A/back.jpg", "A/01.mp3")
    assert music.album("A") == ["A/cover.jpg", "A/folder.jpg", "A/front.jpg", "A/album.jpg"]


def test_the_formats_in_their_order_and_case_does_not_matter(music):
    names = ["A/Cover.Jpg", "A/cover.jpeg", "A/COVER.PNG", "A/Cover.WEBP"]
    names += ["A/Cover.GIF", "A/cover.bmp", "A/Folder.gif", "A/folder.BMP"]
    music.add("A/cover.tiff", *reversed(names))
    assert music.album("A") == names


def test_the_cover_of_discs_lies_in_their_folders_or_above(music):
    music.add("A/cover.jpg", "A/CD1/folder.jpg", "A/CD2/cover.png")
    assert music.album("A/CD1", "A/CD2") == ["A/CD1/folder.jpg", "A/CD2/cover.png", "A/cover.jpg"]
    assert music.album("A/CD1") == ["A/CD1/folder.jpg", "A/cover.jpg"]


def test_discs_by_any_other_name_when_tags_say_so(music):
    music.add("A/cover.jpg", "A/Red/01.mp3", "A/Blue/01.mp3")
    assert music.album("A/Red", "A/Blue") == []
    assert music.album("A/Red", "A/Blue", multi_disc=True) == ["A/cover.jpg"]
    assert music.album("A/Red", multi_disc=True) == []


def test_the_folder_above_an_ordinary_album_is_somebody_elses(music):
    music.add("Artist/cover.jpg", "Artist/Album/01.mp3", "Artist/Other/01.mp3")
    assert music.album("Artist/Album") == []
    assert music.album("Artist/Album", "Artist/Other") == []


def test_what_is_no_picture_is_left_out(music):
    music.add("A/cover.jpg", data=b"")
    music.add("A/folder.jpg/inside")
    music.add("elsewhere.jpg", "A/album.png")
    os.symlink(music.path("elsewhere.jpg"), music.path("A/front.jpg"))
    assert music.album("A") == ["A/album.png"]


def test_a_picture_that_is_too_large_is_left_out(music):
    music.add("A/cover.jpg", "A/folder.jpg")
    os.truncate(music.path("A/cover.jpg"), MAX_PICTURE_BYTES + 1)
    assert music.album("A") == ["A/folder.jpg"]
    os.truncate(music.path("A/folder.jpg"), MAX_PICTURE_BYTES)
    assert music.album("A") == ["A/folder.jpg"]
    assert len(read_image(music.path("A/folder.jpg"))) == MAX_PICTURE_BYTES
    with pytest.raises(OSError, match="larger than 20 MiB"):
        read_image(music.path("A/cover.jpg"))


def test_a_folder_that_is_gone_has_no_picture(music):
    music.add("B/cover.jpg")
    assert music.album("A", "B") == ["B/cover.jpg"]


def test_names_that_are_not_utf_8(music):
    name = os.fsdecode(b"Bj\xf6rk/D\xe9but")
    music.add(f"{name}/cover.jpg")
    assert music.album(name) == [f"{name}/cover.jpg"]
    assert read_image(music.path(f"{name}/cover.jpg")) == b"picture"


def test_an_artists_image_lies_above_the_albums(music):
    music.add("Artist/Artist.JPG", "Artist/artist.png", "Artist/Album/artist.jpg")
    assert music.artist("Artist/Album") == ["Artist/Artist.JPG", "Artist/artist.png"]
    assert music.artist("Artist/Album", "Artist/Other") == [
        "Artist/Artist.JPG",
        "Artist/artist.png",
    ]
    assert music.artist("Artist/Double/CD1", "Artist/Double/CD2")[0] == "Artist/Artist.JPG"
    assert music.artist("Nobody/Album") == []
