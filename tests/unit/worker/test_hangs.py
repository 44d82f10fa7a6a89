"""Processes that wait for a folder, and processes that work."""

import multiprocessing
import os
import time

import pytest

from backend_worker.tasks import touch
from backend_worker.worker import hangs
from backend_worker.worker.hangs import Hangs
from tests.support.lab import wait_for

HANG_SECONDS = 30
FORK = multiprocessing.get_context("fork")


@pytest.fixture(autouse=True)
def memory(monkeypatch):
    """A worker's memory of its own; this process takes no place in it."""
    for name in ("_memory", "_next", "_mine"):
        monkeypatch.setattr(touch, name, None)
    monkeypatch.setattr(hangs, "folder_of", os.path.dirname)


@pytest.fixture
def process():
    """Starts a process as a worker does, which looks at a path and does something then."""
    started = []

    def start(path, then):
        touch.reserve()
        child = FORK.Process(target=_run, args=(path, then), daemon=True)
        child.start()
        started.append(child)
        wait_for(lambda: any(look.pid == child.pid for look in touch.looks()), what="a look")
        return child

    yield start
    for child in started:
        child.kill()
        child.join()


def _run(path, then):
    touch.begin_process()
    touch.begin(path)
    then()


def sleep():
    time.sleep(600)


def work():
    while True:
        pass


class Clock:
    def __init__(self):
        self.ahead = 0.0

    def __call__(self):
        return time.monotonic() + self.ahead


@pytest.fixture
def watch():
    clock = Clock()
    resumed = []
    watched = Hangs(lambda: resumed.append(True), clock)

    def look_after(seconds):
        clock.ahead += seconds
        watched.look()

    watched.look_after, watched.resumed = look_after, resumed
    return watched


def test_one_that_waits_hangs_and_one_that_works_does_not(process, watch, caplog):
    waiting, working = process(b"/nas/a/1.mp3", sleep), process(b"/disk/2.mp3", work)
    watch.look_after(0)
    before = hangs._progress(working.pid)[0]
    wait_for(lambda: hangs._progress(working.pid)[0] > before + hangs.FEW_TICKS, what="work")
    watch.look_after(HANG_SECONDS + 1)
    assert watch.stuck == {waiting.pid}
    [told] = watch.describe()
    assert told["folder"] == "/nas/a"
    assert told["seconds"] >= HANG_SECONDS
    watch.look_after(1)
    assert caplog.text.count("the folder /nas/a has not answered") == 1


def test_others_leave_the_folder_alone_until_it_answers(process, watch):
    waiting = process(b"/nas/a/1.mp3", sleep)
    touch.check(b"/nas/a/2.mp3")
    watch.look_after(0)
    watch.look_after(HANG_SECONDS + 1)
    with pytest.raises(touch.FolderHangsError, match="the folder /nas/a has not answered for"):
        touch.check(b"/nas/a/2.mp3")
    touch.check(b"/nas/ab/2.mp3")
    assert touch.hangs_with(b"/nas")
    assert touch.hangs_with(b"/nas/a/b")
    assert not touch.hangs_with(b"/nas/b")
    assert not watch.resumed
    waiting.kill()
    waiting.join()
    watch.look_after(1)
    touch.check(b"/nas/a/2.mp3")
    assert (watch.stuck, watch.describe(), watch.resumed) == (frozenset(), [], [True])


def test_place_of_a_process_that_ended_is_taken_by_the_next(process, monkeypatch):
    monkeypatch.setattr(touch, "PLACES", 2)
    first = process(b"/a", sleep)
    process(b"/b", sleep)
    first.kill()
    first.join()
    process(b"/c" * 5000, sleep)  # longer than its place
    assert [look.path[:2] for look in touch.looks()] == [b"/c", b"/b"]
    touch.reserve()
    assert touch._next is None  # a process without a place works, unwatched


def test_outside_of_a_worker_nothing_is_written():
    with touch.looking_at(b"/nas"):
        assert touch.looks() == []
