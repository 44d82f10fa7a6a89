"""Which words of a title or a folder tell of a disc, and which are the album's own."""

import pytest

from backend_worker.library.discs import Disc, of_folder, of_title


@pytest.mark.parametrize(
    ("folder", "number", "name"),
    [
        ("Album", None, None),
        ("Album/CD1", 1, None),
        ("Album/cd 02", 2, None),
        ("Album/Disc 2", 2, None),
        ("Album/Disk_3", 3, None),
        ("Album/Disk 1 - Live", 1, "Live"),
        ("Album/[Disc 3] Rare", 3, "Rare"),
        ("Album/Disc One", 1, None),
        ("Album/CD IV", 4, None),
        ("Album/CD #2", 2, None),
        ("Album/CD No. 2", 2, None),
        ("Album/Disque deux", 2, None),
        ("Album/CD zwei", 2, None),
        ("Album/Диск 2", 2, None),
        ("Album/ディスク2", 2, None),
        ("Album/SACD 1", 1, None),
        ("Album/CD 136 Messen", 136, "Messen"),
        ("Album CD 2", 2, None),
        ("Album (Disc 1)", 1, None),
        ("Album [CD2: Live]", 2, "Live"),
        ("Album - Disc 1 of 2", 1, None),
    ],
)
def test_the_discs_of_an_album_lie_in_one_folder(folder, number, name):
    assert of_folder(f"/music/A/{folder}") == Disc("/music/A/Album", number, name)


@pytest.mark.parametrize(
    "folder",
    ["/m/Disco 2000", "/m/Disco 2", "/m/ACDC 2", "/m/CD2000", "/m/Discovery", "/m/The Disc",
     "/m/Discone", "/m/Disc Ivory", "/m/\udcff", "/", ""],
)  # fmt: skip
def test_other_folders_are_kept(folder):
    assert of_folder(folder) == Disc(folder)


@pytest.mark.parametrize(
    ("title", "album", "number", "name"),
    [
        ("Anthology (Disc 2)", "Anthology", 2, None),
        ("Anthology (disc two)", "Anthology", 2, None),
        ("Anthology [CD 1: Early Years]", "Anthology", 1, "Early Years"),
        ("Anthology (CD2) [Remastered]", "Anthology [Remastered]", 2, None),
        ("Anthology, Disc 1", "Anthology", 1, None),
        ("Anthology CD2", "Anthology", 2, None),
        ("Anthology Disc IX", "Anthology", 9, None),
        ("Anthology CD XII", "Anthology", 12, None),
        ("Anthology - Disc 1/2", "Anthology", 1, None),
        ("Anthology (Disc 1 of 2)", "Anthology", 1, None),
        ("Anthology (CD 1 von 2)", "Anthology", 1, None),
        ("Anthology (Disco 2)", "Anthology", 2, None),
        ("Anthology Disque 2", "Anthology", 2, None),
        ("Anthology Disc 2 - The Later Years", "Anthology", 2, "The Later Years"),
        ("Собрание (Диск 2)", "Собрание", 2, None),
        ("全集【ディスク2】", "全集", 2, None),
        ("The Rubinstein Collection CD 36: Chopin", "The Rubinstein Collection", 36, "Chopin"),
        ("CD 36: Chopin", "CD 36: Chopin", 36, None),
        ("Disc 1", "Disc 1", 1, None),
    ],
)
def test_a_title_loses_its_disc_and_the_disc_is_known(title, album, number, name):
    assert of_title(title) == Disc(album, number, name)


@pytest.mark.parametrize(
    "title",
    ["HEALTH::DISCO2", "Italo Disco 1", "Nu-Disco 71", "Disco 2", "Disco 2000", "Disco",
     "Discovery", "Bollywood Disco 80", "CD2000", "Compact Disc", "Volume 2", "Part II", "LP1",
     "Act I", "Mandisc 2", "AC/DC 2", "CD 1.5", "x" * 5000 + " CD 1"],
)  # fmt: skip
def test_other_titles_are_kept(title):
    assert of_title(title) == Disc(title)
