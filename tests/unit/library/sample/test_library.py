"""The sample library as its users see it: files in a folder, and figures that hold."""

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys

import mutagen
import pytest

from backend_worker.library.sample import make_library
from backend_worker.library.sample.library import STAMP

AUDIO = (".mp3", ".flac", ".ogg", ".opus", ".m4a", ".wav", ".aiff")
YEAR_2024 = 1_704_067_200


def snapshot(root):
    """Return what lies where: path → (mode, mtime, content)."""
    found = {}
    for folder, _folders, files in os.walk(root):
        found[os.path.relpath(folder, root)] = (os.stat(folder).st_mtime_ns,)
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = look_at(path)
    return found


def look_at(path):
    status = os.lstat(path)
    content = None
    if stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    return status.st_mode, status.st_mtime_ns, content


def audio_files(root):
    return sorted(
        path
        for path, facts in snapshot(root).items()
        if path.endswith(AUDIO) and len(facts) == 3 and stat.S_ISREG(facts[0])
    )


def readable(path):
    try:
        return mutagen.File(path) is not None
    except (mutagen.MutagenError, EOFError):
        return False


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("sample") / "music")
    return root, make_library(root, tracks=150)


@pytest.mark.parametrize("tracks", [1, 12, 44, 45, 100])
def test_it_has_as_many_readable_tracks_as_asked_for(tmp_path, tracks):
    summary = make_library(str(tmp_path), tracks=tracks, broken=False)
    files = audio_files(tmp_path)
    assert len(files) == summary.tracks == sum(summary.formats.values()) == tracks
    assert all(readable(tmp_path / path) for path in files)
    assert summary.unreadable == ()
    assert summary.ignored == {}


def test_with_broken_files_it_still_has_as_many(library):
    root, summary = library
    left_out = {*summary.unreadable, *summary.ignored.values()}
    tracks = [path for path in audio_files(root) if path not in left_out]
    assert len(tracks) == summary.tracks == 150
    assert summary.mislabelled in tracks
    assert all(readable_by_content(os.path.join(root, path)) for path in tracks)


def readable_by_content(path):
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())  # nameless: mutagen cannot believe the extension
    return mutagen.File(content) is not None


def test_the_unreadable_files_cannot_be_read(library):
    root, summary = library
    assert len(summary.unreadable) == 4
    for path in summary.unreadable:
        assert not readable(os.path.join(root, path)), path


def test_the_ignored_files_are_what_they_are_called(library):
    root, summary = library
    full = {kind: os.path.join(root, path) for kind, path in summary.ignored.items()}
    assert set(full) == {"text", "hidden", "nomedia", "ndignore", "symlink_loop", "fifo"}
    assert os.path.realpath(full["symlink_loop"]) == os.path.realpath(root)
    assert stat.S_ISFIFO(os.stat(full["fifo"]).st_mode)
    assert os.path.exists(os.path.join(os.path.dirname(full["nomedia"]), ".nomedia"))
    assert os.path.getsize(os.path.join(os.path.dirname(full["ndignore"]), ".ndignore")) == 0
    # but for what ignores them they were tracks
    assert all(readable(full[kind]) for kind in ("hidden", "nomedia", "ndignore"))


def test_the_mislabelled_track_is_an_mp3(library):
    root, summary = library
    with open(os.path.join(root, summary.mislabelled), "rb") as file:
        assert file.read(3) == b"ID3"
    assert summary.mislabelled.endswith(".flac")


def test_one_name_is_not_utf8(library):
    root, summary = library
    name = os.fsencode(os.path.join(root, summary.not_utf8))
    assert os.path.isfile(name)
    with pytest.raises(UnicodeDecodeError):
        name.decode("utf-8")


def test_every_format_and_every_place_of_covers_occurs(library):
    _root, summary = library
    assert set(summary.formats) == {"mp3", "flac", "ogg", "opus", "aac", "alac", "wav", "aiff"}
    assert set(summary.covers) == {"embedded", "folder", "none"}
    assert sum(summary.covers.values()) == summary.albums


def test_the_same_arguments_give_the_same_files_whatever_the_processes(library, tmp_path):
    root, summary = library
    assert make_library(str(tmp_path), tracks=150, processes=2) == summary
    assert snapshot(tmp_path) == snapshot(root)


def test_another_seed_gives_other_music(library, tmp_path):
    root, _summary = library
    make_library(str(tmp_path), tracks=150, seed=2)
    same = snapshot(root).keys() & snapshot(tmp_path).keys()
    assert len([path for path in same if path.endswith(AUDIO)]) < 60  # the special ones


def test_no_two_tracks_have_the_same_content(library):
    root, summary = library
    contents = [look_at(os.path.join(root, path))[2] for path in audio_files(root)]
    assert len(set(contents)) == len(contents) > summary.tracks


def test_every_file_is_days_old(library):
    root, _summary = library
    times = [os.lstat(os.path.join(root, path)).st_mtime for path in snapshot(root)]
    assert max(times) < YEAR_2024 - 86_400
    assert min(times) > YEAR_2024 - 3 * 366 * 86_400


def test_a_track_takes_twelve_kilobytes_at_most_on_average(library):
    root, _summary = library
    sizes = [os.path.getsize(os.path.join(root, path)) for path in audio_files(root)]
    assert sum(sizes) / len(sizes) < 12_000


def test_a_second_run_touches_nothing(tmp_path):
    first = make_library(str(tmp_path), tracks=30)
    gone = tmp_path / first.unreadable[0]
    gone.unlink()  # a test that changed its library does not have it repaired behind its back
    before = snapshot(tmp_path)
    assert make_library(str(tmp_path), tracks=30) == first
    assert snapshot(tmp_path) == before


def test_an_interrupted_library_is_completed(tmp_path):
    summary = make_library(str(tmp_path), tracks=60)
    whole = snapshot(tmp_path)
    stamp = tmp_path / STAMP
    stamp.write_text(stamp.read_text().partition(' "summary"')[0].rstrip(" ,\n") + "}")
    shutil.rmtree(tmp_path / "Compilations")
    path = tmp_path / summary.mislabelled
    path.write_bytes(path.read_bytes()[:100])
    assert make_library(str(tmp_path), tracks=60) == summary
    assert snapshot(tmp_path) == whole


def test_a_stamp_that_was_cut_short_counts_as_interrupted(tmp_path):
    summary = make_library(str(tmp_path), tracks=12)
    (tmp_path / STAMP).write_text('{"version": 1, "tra')
    assert make_library(str(tmp_path), tracks=12) == summary


def test_somebody_elses_folder_is_left_alone(tmp_path):
    (tmp_path / "my only copy.mp3").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="no sample library"):
        make_library(str(tmp_path))
    assert os.listdir(tmp_path) == ["my only copy.mp3"]


def test_a_library_of_other_options_is_left_alone(tmp_path):
    make_library(str(tmp_path), tracks=12)
    before = snapshot(tmp_path)
    with pytest.raises(FileExistsError, match="other options"):
        make_library(str(tmp_path), tracks=13)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("wrong", [{"tracks": 0}, {"processes": 0}])
def test_impossible_numbers_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="at least 1"):
        make_library(str(tmp_path), **wrong)


def run(*arguments):
    command = [sys.executable, "-m", "backend_worker.library.sample", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_makes_a_library_and_says_what_it_holds(tmp_path):
    root = tmp_path / "music"
    done = run(str(root), "--tracks", "12", "--seed", "3", "--processes", "1")
    assert done.returncode == 0, done.stderr
    assert "12 tracks" in done.stdout
    assert make_library(str(root), tracks=12, seed=3).tracks == 12  # it is there


def test_the_command_explains_a_refusal(tmp_path):
    (tmp_path / "x").touch()
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert "take another folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_it_does_not_import_pillow():
    code = "import sys, backend_worker.library.sample; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
