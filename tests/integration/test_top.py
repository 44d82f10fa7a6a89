"""``backend-worker top`` beside a real worker."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

from backend_worker.library.sample import make_library
from backend_worker.progress import events
from tests.support import lab
from tests.support.waiting import WAIT_SECONDS


@pytest.fixture(scope="module")
def scanned(servers, worker, tmp_path_factory):
    """A worker that has something to tell of."""
    root = tmp_path_factory.mktemp("top") / "music"
    make_library(str(root), tracks=12)
    lab.empty()
    status = lab.scan(root)
    lab.settle()
    return status


def top(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "backend_worker", "top", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
        env=os.environ | {"COLUMNS": "100"} | options.pop("env", {}),
        **options,
    )


def test_one_look_shows_worker_queues_and_events(scanned):
    result = top("--once")
    assert result.returncode == 0, result.stderr
    for words in ("celery-worker@", "processes", "memory", "files/s", "maintenance", "under way"):
        assert words in result.stdout, result.stdout
    assert "scan.completed" in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


def test_the_id_of_an_event_is_that_of_the_stream_whatever_its_details_are(scanned):
    """Else who reads on from the last one reads the same again and again."""
    events.publish("scan.completed", 7, id=7, time="never")
    [last] = [event for event in events.read() if event["scan"] == 7]  # the worker tells others
    assert last["kind"] == "scan.completed"
    assert 7 not in [event["scan"] for event in events.read(last["id"])]
    assert top("--once").returncode == 0


def test_programs_get_a_line_of_json(scanned):
    result = top("--once", "--json")
    [line] = result.stdout.splitlines()
    report = json.loads(line)
    assert len(report["queues"]) == 8
    [worker] = report["workers"]
    assert worker["processes"] >= 1
    assert worker["pss_bytes"] > 20e6
    assert "scan.completed" in {event["kind"] for event in report["events"]}


def test_it_is_live_on_a_terminal_until_ctrl_c(scanned, tmp_path):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "backend_worker", "top", "--interval", "0.2"],
        stdin=child,
        stdout=child,
        stderr=child,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
        start_new_session=True,
    )
    os.close(child)
    try:
        shown = read_until(parent, b"scan.completed")
        make_library(str(tmp_path / "more"), tracks=4)
        scan = lab.scan(tmp_path / "more")
        read_until(parent, f"scan {scan.id}".encode())
        process.send_signal(signal.SIGINT)
        read_until(parent, b"\x1b[?1049l")  # the screen that was there before comes back
        assert process.wait(WAIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(parent)
    assert b"celery-worker@" in shown
    lab.settle()


def read_until(terminal, words, seconds=WAIT_SECONDS):
    shown = b""
    deadline = time.monotonic() + seconds
    while words not in shown:
        assert time.monotonic() < deadline, shown[-3000:].decode(errors="replace")
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)
    return shown


def test_redis_away_is_a_sentence(scanned):
    result = top("--once", env={"BACKEND_WORKER_REDIS_URL": "redis://127.0.0.1:1/0"})
    assert result.returncode == 3
    assert "Redis is not available" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("text", ["0", "nan", "-1", "1e9"])
def test_intervals_that_make_no_sense(text):
    result = top("--interval", text)
    assert result.returncode == 2
    assert "0.1 to 3600" in result.stderr
