"""The walk: every audio file once, in byte order, whatever else lies around."""

import os
import subprocess
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library.walk import RootUnusableError, Walk

EXTENSIONS = frozenset({b".mp3", b".flac"})


def make(root, *names):
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


def walk(root):
    return Walk(os.fsencode(root), EXTENSIONS)


def found(root):
    prefix = os.fsencode(root) + b"/"
    return [path.removeprefix(prefix) for path, _, _ in walk(root).files()]


def test_finds_audio_files_by_extension_in_any_case(tmp_path):
    make(tmp_path, "a.mp3", "b.FLAC", "notes.txt", "cover.jpg", "noextension", "mp3")
    one = walk(tmp_path)
    assert [os.path.basename(path) for path, _, _ in one.files()] == [b"a.mp3", b"b.FLAC"]
    assert one.other_files == 4


def test_gives_size_and_time_in_nanoseconds(tmp_path):
    make(tmp_path, "a.mp3")
    os.utime(tmp_path / "a.mp3", ns=(5, 1_234_567_890_123_456_789))
    assert list(walk(tmp_path).files()) == [
        (os.fsencode(tmp_path / "a.mp3"), 1, 1_234_567_890_123_456_789)
    ]


# "a.mp3" sorts before "a/…" and "a b.mp3" before both, as the whole paths' bytes do
@given(
    st.sets(
        st.lists(
            st.sampled_from(["a", "a b", "a.mp3x", "B", "é", "~", "a!", "Z-1", "日本"]),
            min_size=0,
            max_size=3,
        ).map(tuple),
        min_size=1,
        max_size=8,
    )
)
def test_order_is_that_of_the_paths_bytes(tmp_path_factory, folders):
    root = tmp_path_factory.mktemp("order")
    for folder in folders:
        make(root, "/".join([*folder, "x.mp3"]), "/".join([*folder, "a.flac"]))
    paths = [path for path, _, _ in walk(root).files()]
    assert paths == sorted(paths)
    assert len(paths) == 2 * len(folders)


def test_name_that_is_not_utf8_survives(tmp_path):
    make(tmp_path, b"caf\xe9/\xff\xfe.mp3")
    assert found(tmp_path) == [b"caf\xe9/\xff\xfe.mp3"]


MUSIC = [
    "...Like Clockwork/01 Keep.flac",
    ".5 The Gray Chapter/01 XIX.flac",
    "Brit/...Baby One More Time.flac",
    "Doom/.45.flac",
    ".hack/1.mp3",
    "@ the Movies/1.mp3",
    "#1's/1.mp3",
    "Recycled/1.mp3",
    "Snapshot/1.mp3",
    "Found 001/1.mp3",
]
NO_MUSIC = [
    "Brit/._02 x.flac",
    ".git/1.mp3",
    ".Trash-1000/files/1.mp3",
    ".Trashes/501/1.mp3",
    ".trashed-1700000000-song.mp3",
    ".pending-1700000000-song.mp3",
    ".hidden.mp3",
    ".stfolder/1.mp3",
    ".stversions/a/1.mp3",
    ".Spotlight-V100/1.mp3",
    ".AppleDouble/1.mp3",
    ".recycle/1.mp3",
    ".snapshot/hourly.0/1.mp3",
    ".snapshots/1/snapshot/1.mp3",
    ".zfs/snapshot/1.mp3",
    ".@__thumb/1.mp3",
    ".dropbox.cache/1.mp3",
    "#recycle/1.mp3",
    "#snapshot/1.mp3",
    "@Recycle/1.mp3",
    "@Recently-Snapshot/1.mp3",
    "@eaDir/1.mp3/1.mp3",
    "@SynoResource/1.mp3",
    "@synoeastream/1.mp3",
    "$RECYCLE.BIN/1.mp3",
    "$Recycle.bin2/1.mp3",
    "RECYCLER/S-1-5/1.mp3",
    "lost+found/1.mp3",
    "found.000/1.mp3",
    "FOUND.001/1.mp3",
    "System Volume Information/1.mp3",
    "__MACOSX/1.mp3",
    "LOST.DIR/1.mp3",
]


def test_a_leading_dot_hides_nothing_but_what_is_a_program_s(tmp_path):
    make(tmp_path, *MUSIC, *NO_MUSIC, ".DS_Store", ".hidden", "a/.directory")
    one = walk(tmp_path)
    prefix = os.fsencode(tmp_path) + b"/"
    paths = [os.fsdecode(path.removeprefix(prefix)) for path, _, _ in one.files()]
    assert sorted(paths) == sorted(MUSIC)
    assert one.left_out == len(NO_MUSIC)
    hidden = {os.fsdecode(path.removeprefix(prefix)) for path in one.left_out_paths}
    assert hidden == {"Brit/._02 x.flac", *(name.split("/")[0] for name in NO_MUSIC[1:])}


@pytest.mark.parametrize("name", [name for name in NO_MUSIC if "/" in name])
def test_folders_of_programs_are_left_out_in_any_case(tmp_path, name):
    folder, _, rest = name.rpartition("/")
    make(tmp_path, f"{folder.swapcase()}/{rest}", "a/1.mp3")
    assert found(tmp_path) == [b"a/1.mp3"]


def test_what_is_left_out_is_named_up_to_a_number(tmp_path):
    make(tmp_path, *(f"._{number}.mp3" for number in range(150)))
    one = walk(tmp_path)
    assert list(one.files()) == []
    assert (one.left_out, len(one.left_out_paths)) == (150, 100)


def test_nomedia_hides_a_folder_and_all_below(tmp_path):
    make(tmp_path, "a/.nomedia", "a/1.mp3", "a/b/2.mp3", "c/3.mp3")
    assert found(tmp_path) == [b"c/3.mp3"]


def test_empty_ndignore_hides_its_folder(tmp_path):
    make(tmp_path, "a/1.mp3", "c/3.mp3")
    (tmp_path / "a" / ".ndignore").write_text("\n")
    assert found(tmp_path) == [b"c/3.mp3"]


def test_ndignore_holds_patterns_as_gitignore_does(tmp_path):
    make(tmp_path, "demo/1.mp3", "live/2.mp3", "live/demo/3.mp3", "skip.mp3", "keep.mp3")
    (tmp_path / ".ndignore").write_text("# comment\n/demo/\nskip*\n")
    assert found(tmp_path) == [b"keep.mp3", b"live/2.mp3", b"live/demo/3.mp3"]


def test_links_into_the_library_are_not_followed(tmp_path):
    make(tmp_path, "a/1.mp3")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "favourites").symlink_to(tmp_path / "a")
    (tmp_path / "again.mp3").symlink_to(tmp_path / "a" / "1.mp3")
    (tmp_path / "nowhere.mp3").symlink_to(tmp_path / "missing.mp3")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    one = walk(tmp_path)
    assert [path for path, _, _ in one.files()] == [os.fsencode(tmp_path / "a" / "1.mp3")]
    assert one.errors == []


def test_link_to_a_folder_elsewhere_is_followed_once(tmp_path):
    make(tmp_path, "elsewhere/1.mp3", "library/0.mp3")
    (tmp_path / "library" / "one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "library" / "two").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "library") == [b"0.mp3", b"one/1.mp3"]


def test_link_to_a_folder_above_is_not_followed(tmp_path):
    make(tmp_path, "library/0.mp3")
    (tmp_path / "library" / "up").symlink_to(tmp_path)
    assert found(tmp_path / "library") == [b"0.mp3"]


def test_fifo_named_like_a_track_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp3")
    one = walk(tmp_path)
    assert list(one.files()) == []
    assert one.other_files == 1


def test_missing_root_is_refused_with_its_name(tmp_path):
    with pytest.raises(RootUnusableError, match=r"/gone: No such file"):
        list(walk(tmp_path / "gone").files())


def test_file_as_root_is_refused(tmp_path):
    make(tmp_path, "a.mp3")
    with pytest.raises(RootUnusableError, match="Not a directory"):
        list(walk(tmp_path / "a.mp3").files())


def test_folder_that_vanishes_during_the_walk_is_an_error(tmp_path):
    make(tmp_path, "a/1.mp3", "b/2.mp3")
    one = walk(tmp_path)
    files = one.files()
    next(files)
    (tmp_path / "b" / "2.mp3").unlink()
    (tmp_path / "b").rmdir()
    assert list(files) == []
    assert one.errors == [(os.fsencode(tmp_path / "b"), "No such file or directory")]


@pytest.fixture
def as_nobody():
    """Root may read every folder: take on another user's rights for the test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_unreadable_folder_is_recorded_and_the_rest_is_found(as_nobody):
    with tempfile.TemporaryDirectory() as folder:
        root = os.path.join(folder, "music")
        make(root, "a/1.mp3", "b/2.mp3")
        os.chmod(os.path.join(root, "a"), 0)
        one = walk(root)
        assert [os.path.basename(path) for path, _, _ in one.files()] == [b"2.mp3"]
        assert one.errors == [(os.fsencode(os.path.join(root, "a")), "Permission denied")]
        os.chmod(os.path.join(root, "a"), 0o700)


def test_path_too_long_for_the_database_is_an_error_not_a_file(tmp_path):
    long_folder = "/".join(["f" * 250] * 10)
    make(tmp_path, f"{long_folder}/1.mp3", "2.mp3")
    one = walk(tmp_path)
    assert [os.path.basename(path) for path, _, _ in one.files()] == [b"2.mp3"]
    [(_, reason)] = one.errors
    assert "more than 2500 bytes" in reason


def test_thousand_nested_folders(tmp_path):
    depth = 1000
    opened = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(depth):
            os.mkdir("d", dir_fd=opened)
            below = os.open("d", os.O_RDONLY, dir_fd=opened)
            os.close(opened)
            opened = below
        one = walk(tmp_path)
        assert list(one.files()) == []
        assert one.directories == depth + 1
        assert one.errors == []
    finally:
        os.close(opened)
        # deeper than Python's own recursive removal goes
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


@pytest.mark.parametrize("year", ["1601-01-01", "2446-05-10", "30828-09-14"])
def test_times_that_no_database_keeps_are_the_earliest_or_the_latest(tmp_path, year):
    """An empty time of NTFS or SMB, the last of ext4, the last of NTFS."""
    make(tmp_path, "a.mp3")
    subprocess.run(["touch", "-d", year, tmp_path / "a.mp3"], check=True)
    if abs(os.stat(tmp_path / "a.mp3").st_mtime_ns) < 2**63:
        pytest.skip(f"the file system of {tmp_path} does not keep the year of {year}")
    ((_, _, mtime_ns),) = walk(tmp_path).files()
    assert mtime_ns == (-(2**63) if year.startswith("1601") else 2**63 - 1)
