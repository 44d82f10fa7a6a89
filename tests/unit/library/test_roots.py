"""One folder under two names: what is written alike, and what the disk says is one."""

import os
import subprocess

import pytest

from backend_worker.library.roots import SameFolderError, check, normalise


@pytest.mark.parametrize(
    "path",
    ["/srv/music", "//srv/music", "///srv/music", "/srv//music/", "/srv/music/.",
     "/srv/./music", "/srv/other/../music", "//srv/../srv/music//"],
)  # fmt: skip
def test_a_folder_is_written_in_one_way(path):
    assert normalise(path.encode()) == b"/srv/music"


def test_the_top_and_names_that_are_no_utf8_stay():
    assert normalise(b"//") == b"/"
    assert normalise(b"//caf\xe9") == b"/caf\xe9"


@pytest.fixture
def music(tmp_path):
    (tmp_path / "music" / "jazz" / "live").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    return tmp_path / "music"


def refused(root, *known):
    try:
        check(os.fsencode(root), [os.fsencode(path) for path in known])
    except SameFolderError as error:
        return error.relation
    return None


def test_links_to_a_known_folder_are_refused(music, tmp_path):
    for name, target in (("same", music), ("in", music / "jazz"), ("above", tmp_path)):
        (tmp_path / "other" / name).symlink_to(target)
    assert (
        refused(tmp_path / "other" / "same", tmp_path / "other", music) == "is the same folder as"
    )
    assert refused(tmp_path / "other" / "in", music) == "lies in"
    assert refused(tmp_path / "other" / "above", music) == "holds"
    assert refused(tmp_path / "other" / "in" / "live", music) == "lies in"
    assert refused(music, tmp_path / "other" / "in") == "holds"


def test_other_folders_and_those_that_are_not_there_are_not(music, tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "unplugged")
    assert refused(tmp_path / "other", music, tmp_path / "gone", tmp_path / "unplugged") is None
    assert refused(tmp_path / "gone", music) is None
    # by their paths: a scan of one knows the files of the other
    assert refused(music / "jazz", music) is None
    assert refused(tmp_path, music) is None
    assert refused(music, music) is None


def test_the_sentence_names_the_known_folder_and_what_to_do(music, tmp_path):
    (tmp_path / "link").symlink_to(music)
    with pytest.raises(SameFolderError) as error:
        check(os.fsencode(tmp_path / "link"), [os.fsencode(music)])
    assert f"is the same folder as {music}" in str(error.value)
    assert f"backend-worker forget {music}" in str(error.value)


@pytest.fixture
def bind(tmp_path):
    points = []

    def mount(source, name):
        point = tmp_path / name
        point.mkdir()
        done = subprocess.run(
            ["mount", "--bind", str(source), str(point)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip("mounting needs root")
        points.append(point)
        return point

    yield mount
    for point in points:
        subprocess.run(["umount", str(point)], check=True)


def test_bind_mounts_of_a_known_folder_are_refused(music, bind, tmp_path):
    assert refused(bind(music, "same"), music) == "is the same folder as"
    inner = bind(music / "jazz", "inner")
    assert refused(inner, music) == "lies in"
    assert refused(inner / "live", music) == "lies in"
    assert refused(music, inner) == "holds"
    assert refused(bind(tmp_path / "other", "another"), music) is None
