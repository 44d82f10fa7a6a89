"""Starting, refusing and cancelling scans while no worker runs yet."""

import pytest

from backend_worker.celery_app import app
from backend_worker.cli.errors import UserError
from backend_worker.cli.scan import start_scan
from backend_worker.library.sample import make_library
from backend_worker.progress import events
from backend_worker.storage import scans
from backend_worker.tasks.scan import discovery


@pytest.fixture
def music(tmp_path):
    root = tmp_path / "music"
    make_library(str(root), tracks=12)
    return root


def test_second_scan_of_an_overlapping_folder_is_told_which_one_runs(library, music):
    first = start_scan(str(music))
    for overlapping in (
        music,
        next(path for path in music.iterdir() if path.is_dir()),
        music.parent,
    ):
        with pytest.raises(UserError, match=f"scan {first} of {music} is still running") as error:
            start_scan(str(overlapping))
        assert f"backend-worker cancel {first}" in str(error.value)


def test_neighbouring_folders_may_be_scanned_at_once(library, music, tmp_path):
    beside = tmp_path / "music2"
    beside.mkdir()
    assert start_scan(str(music)) != start_scan(str(beside))


def test_folder_that_is_none_is_refused_before_anything_is_sent(library, tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        start_scan(str(tmp_path / "nowhere"))
    assert scans.recent() == []


def test_cancelled_scan_adds_up_and_the_next_one_completes(library, servers, music):
    scan_id = start_scan(str(music))
    assert scans.cancel(scan_id) == [scan_id]
    assert scans.cancel(scan_id) == []
    app.send_task("scan.finish", args=[scan_id])
    with library.running_worker(servers):
        status = library.ended(scan_id)
        assert status.status == "cancelled"
        library.settle()  # it is told after it is stored
        [told] = [event for event in events.read() if event["kind"] == "scan.cancelled"]
        assert (told["scan"], told["found"]) == (scan_id, status.found)
        assert status.found == status.stored + status.unchanged + status.failed + status.ignored
        assert library.scan(music).status == "completed"


def test_client_that_scans_a_running_folder_again_changes_nothing(library, servers, music):
    app.send_task("scan.discovery", args=[str(music)])
    app.send_task("scan.discovery", args=[str(music)])
    with library.running_worker(servers):
        library.wait_for(lambda: scans.recent() and not scans.recent()[0].active)
        library.settle()
        # one at a time: refused if both ran at once, unchanged if one after the other
        assert sum(status.stored for status in scans.recent()) == 12


def test_walk_that_fails_unexpectedly_ends_its_scan_and_says_so(library, music):
    scan_id = scans.begin(bytes(music), "the walk")
    discovery.on_failure(RuntimeError("no idea"), "the walk", (str(music),), {}, None)
    assert scans.get(scan_id).status == "failed"
    [told] = [event for event in events.read() if event["kind"] == "scan.failed"]
    assert (told["scan"], told["message"]) == (scan_id, "internal error: RuntimeError: no idea")


def test_scan_that_is_refused_is_told(library, music):
    running = scans.begin(bytes(music), "another")
    discovery.apply(args=[str(music)])
    [told] = [event for event in events.read() if event["kind"] == "scan.refused"]
    assert (told["scan"], told["directory"]) == (running, str(music))
