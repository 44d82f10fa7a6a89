"""A music folder that does not answer: really mounted (FUSE), really waited for in the kernel."""

import os
import signal
import time

import pytest

from backend_worker.cli import errors, main
from backend_worker.cli.scan import start_scan
from backend_worker.cli.workers import running_workers
from backend_worker.library.sample import make_library
from backend_worker.storage import scans
from tests.support import fuse

pytestmark = pytest.mark.slow

TRACKS = 60
PROCESSES = 2
TIMEOUT_STOP_SECONDS = 60  # of the unit
SETTINGS = {
    "BACKEND_WORKER_HANG_SECONDS": 3,
    "BACKEND_WORKER_AUTOSCALE_MAX": PROCESSES,
    "BACKEND_WORKER_BATCH_SIZE": 2,
    "BACKEND_WORKER_SETTLE_SECONDS": 0,
    "BACKEND_WORKER_SOFT_SHUTDOWN_TIMEOUT": 1,
    "REMAP_SIGTERM": "SIGQUIT",
}
SHORT_LIMITS = {
    "BACKEND_WORKER_TASK_SOFT_TIME_LIMIT": 6,
    "BACKEND_WORKER_TASK_TIME_LIMIT": 12,
    "BACKEND_WORKER_VISIBILITY_TIMEOUT": 60,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    root = tmp_path_factory.mktemp("hanging") / "source"
    make_library(str(root), tracks=TRACKS, broken=False)
    return str(root)


@pytest.fixture
def mount(source, tmp_path):
    with fuse.mounted(source, tmp_path / "nas") as mount:
        yield mount


@pytest.fixture
def log(servers):
    file = servers.folder / "worker.log"
    before = file.stat().st_size if file.exists() else 0

    def log():
        return file.read_bytes()[before:].decode()

    return log


def hanging():
    return [hang["folder"] for worker in running_workers() for hang in worker["hanging_folders"]]


def hang_in_mid_scan(library, mount):
    """Let the folder hang while files are read, until the worker says so; return the scan."""
    scan_id = start_scan(mount.folder)
    library.wait_for(lambda: scans.get(scan_id).stored >= 4, what="a part of the scan")
    mount.hang()
    library.wait_for(lambda: hanging() == [mount.folder], what="word of the folder that hangs")
    return scan_id


def test_other_folders_go_on_and_so_does_this_one_when_it_answers(
    library, servers, mount, log, tmp_path, capsys
):
    make_library(str(tmp_path / "healthy"), tracks=12, broken=False, seed=2)
    with library.running_worker(servers, **SETTINGS):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        scan_id = hang_in_mid_scan(library, mount)
        assert main(["status"]) == 0
        said = "".join(capsys.readouterr().out.replace("│", "").split())  # a table folds
        assert f"thefolder{mount.folder}hasnotansweredfor" in said
        status = library.scan(tmp_path / "healthy")
        assert (status.status, status.stored) == ("completed", 12)
        assert scans.get(scan_id).status == "running"
        mount.resume()
        status = library.ended(scan_id)
        library.settle()
        library.wait_for(lambda: not hanging(), what="word that it answers")
    assert (status.status, status.stored, status.failed, status.gone) == (
        "completed",
        TRACKS,
        0,
        0,
    )
    assert log().count("has not answered for") == 1
    assert log().count("answers again") == 1


def test_walk_of_a_folder_that_hangs_is_waited_for_and_nothing_in_it_is_gone(
    library, servers, source, mount, tmp_path, monkeypatch
):
    make_library(str(tmp_path / "healthy"), tracks=12, broken=False, seed=2)
    with library.running_worker(servers, **SETTINGS):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        assert library.scan(mount.folder).stored == TRACKS
        library.settle()
        mount.hang(below="/" + max(os.listdir(source)))
        scan_id = start_scan(mount.folder)
        library.wait_for(lambda: hanging() == [mount.folder], what="word of the folder that hangs")
        assert library.scan(tmp_path / "healthy").stored == 12
        mount.hang()
        monkeypatch.setattr(errors, "FOLDER_SECONDS", 1.0)
        with pytest.raises(errors.UserError, match="has not answered for 1 s"):
            start_scan(mount.folder)
        mount.resume()
        status = library.ended(scan_id)
        assert (status.status, status.unchanged, status.gone) == ("completed", TRACKS, 0)


@pytest.mark.parametrize("limit", ["Soft time limit", "Hard time limit"])
def test_hang_that_outlasts_the_limits_of_a_task_is_no_fault_of_the_files(
    library, servers, mount, log, limit
):
    with library.running_worker(servers, **SETTINGS, **SHORT_LIMITS):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        scan_id = hang_in_mid_scan(library, mount)
        library.wait_for(lambda: f"{limit} (" in log(), what=f"a {limit}")
        mount.resume()
        status = library.ended(scan_id)
        library.settle()
    assert (status.status, status.stored, status.failed, status.gone) == (
        "completed",
        TRACKS,
        0,
        0,
    )


def test_worker_stops_while_a_folder_hangs_and_goes_on_when_it_starts_again(
    library, servers, mount, log
):
    with library.running_worker(servers, **SETTINGS) as process:
        library.wait_for(library.worker_is_ready, what="a ready worker")
        scan_id = hang_in_mid_scan(library, mount)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=2 * TIMEOUT_STOP_SECONDS)
        seconds = time.monotonic() - began
    assert seconds < TIMEOUT_STOP_SECONDS / 2
    assert "the worker ends without its processes" in log()
    mount.resume()
    with library.running_worker(servers, **SETTINGS):
        status = library.ended(scan_id)
    assert (status.status, status.stored, status.failed, status.gone) == (
        "completed",
        TRACKS,
        0,
        0,
    )
