"""Starting, refusing and cancelling scans while no worker runs yet."""

import pytest

from backend_worker.celery_app import app
from backend_worker.cli.errors import UserError
from backend_worker.cli.scan import start_scan
from backend_worker.library.sample import make_library
from backend_worker.storage import scans


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
