"""A folder is in the library once, and can be taken out of it."""

import json
import subprocess
import sys

import pytest

from backend_worker.cli.errors import Exit, UserError
from backend_worker.cli.scan import start_scan
from backend_worker.library.sample import make_library
from backend_worker.progress import events
from backend_worker.storage import roots
from backend_worker.tasks.base import send

TRACKS = 12


@pytest.fixture
def music(tmp_path):
    root = tmp_path / "music"
    make_library(str(root), tracks=TRACKS)
    return root


def forget(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "backend_worker", "forget", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def tracks(library):
    return library.rows("SELECT count(*) FROM track")[0][0]


def test_other_ways_to_write_a_folder_are_the_same(library, worker, music):
    assert library.scan(music).stored == TRACKS
    for path in (f"/{music}", f"{music}/.", f"{music.parent}/./music//"):
        assert library.scan(path).unchanged == TRACKS, path
    assert tracks(library) == TRACKS
    assert roots.known() == [bytes(music)]


def test_another_name_is_refused_by_command_and_by_task(library, worker, music, tmp_path):
    library.scan(music)
    (tmp_path / "link").symlink_to(music)
    with pytest.raises(UserError, match=f"is the same folder as {music}"):
        start_scan(str(tmp_path / "link"))
    send("scan.discovery", [str(tmp_path / "link")])
    library.settle()
    last = [event for event in events.read() if event["kind"] == "scan.refused"][-1]
    assert f"is the same folder as {music}" in last["reason"]
    assert tracks(library) == TRACKS


def test_forget_shows_what_would_go_and_does_it(library, worker, music, tmp_path):
    other = tmp_path / "other"
    make_library(str(other), tracks=TRACKS)
    library.scan(music)
    library.scan(other)
    assert tracks(library) == 2 * TRACKS
    code, out, _ = forget(music, "--json")
    shown = json.loads(out)
    assert (code, shown["forgotten"]) == (0, False)
    assert shown["files"] >= TRACKS
    assert tracks(library) == 2 * TRACKS
    code, out, _ = forget(f"/{music}/", "--yes")
    assert (code, tracks(library), roots.known()) == (0, TRACKS, [bytes(other)])
    assert len(list(music.rglob("*.flac"))) > 0
    code, _, err = forget(music)
    assert code == Exit.NOT_FOUND
    assert str(other) in err
    assert library.scan(music).stored == TRACKS


def test_what_another_folder_of_the_library_holds_stays(library, worker, music):
    inner = next(path for path in sorted(music.iterdir()) if path.is_dir())
    library.scan(music)
    library.scan(inner)
    assert roots.what_would_go(bytes(inner))["files"] == 0
    known = library.rows("SELECT count(*) FROM file")[0][0]
    kept = roots.known()
    assert kept == [bytes(music), bytes(inner)]
    assert roots.forget(bytes(inner)) == 0
    library.scan(inner)
    gone = roots.forget(bytes(music))
    assert 0 < gone < known
    assert library.rows("SELECT count(*) FROM file")[0][0] == known - gone
