"""What can be changed from the page."""

import pytest

from tests.support import lab


def test_a_scan_is_started_seen_and_cancelled(music, dashboard, worker, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    answer = dashboard.write("POST", "/api/scans", {"folder": str(folder)})
    assert answer.status == 202
    scan = answer.json["id"]
    assert lab.ended(scan).status == "completed"
    assert dashboard.get(f"/api/scans/{scan}").json["status"] == "completed"
    newest = dashboard.get("/api/scans?limit=1").json
    assert [one["id"] for one in newest] == [scan]
    answer = dashboard.write("DELETE", f"/api/scans/{scan}")
    assert (answer.status, answer.error) == (404, f"scan {scan} is not running")


def test_a_running_scan_is_shown_and_can_be_cancelled(music, dashboard):
    from backend_worker.storage import scans, walks

    scan = scans.begin(b"/nowhere/else", "a-test-that-walks-nothing")
    try:
        with walks.walking(scan):  # else a worker misses its walk and begins it
            lab.wait_for(lambda: dashboard.get("/api/status").json["scan"], what="the running scan")
            running = dashboard.get("/api/status").json["scan"]
            assert (running["scan"], running["status"], running["rate"]) == (scan, "running", 0)
            busy = dashboard.write("POST", "/api/scans", {"folder": "/nowhere"})
            assert busy.status == 400  # not a folder
            answer = dashboard.write("DELETE", f"/api/scans/{scan}")
        assert (answer.status, answer.json) == (202, {"cancelled": [scan]})
        assert lab.ended(scan).status == "cancelled"
    finally:
        scans.abandon(scan, "the test has ended")


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("relative", "absolute path"),
        ("/etc\0", "absolute path"),
        (17, "absolute path"),
        ("/x\ud800", "no valid text"),
        ("/does/not/exist", "/does/not/exist is not a folder"),
        ("--help", "absolute path"),
    ],
)
def test_folders_that_cannot_be_scanned(dashboard, folder, sentence):
    answer = dashboard.write("POST", "/api/scans", {"folder": folder})
    assert answer.status == 400
    assert sentence in answer.error


def test_only_the_library_can_be_scanned_from_the_page(own, music, monkeypatch):
    monkeypatch.setenv("BACKEND_WORKER_MUSIC_DIR", str(music))
    dashboard = own()
    for folder in ("/etc", f"{music}/../", f"{music}-other"):
        answer = dashboard.write("POST", "/api/scans", {"folder": folder})
        assert answer.status == 400
        assert "only" in answer.error
    answer = dashboard.write("POST", "/api/scans")
    assert answer.status == 202
    assert lab.ended(answer.json["id"]).root == str(music)


def test_failures_are_read_again(music, dashboard, worker):
    before = dashboard.get("/api/failures").json["failures"]
    assert before
    answer = dashboard.write("POST", "/api/failures/retry")
    assert answer.status == 202
    lab.wait_for(
        lambda: (
            dashboard.get("/api/failures").json["failures"][0]["read_at"] > before[0]["read_at"]
        ),
        what="failures that were read again",
    )
    lab.settle()
