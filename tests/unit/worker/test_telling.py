"""The status line, and when which is told."""

import logging

import pytest

from backend_worker.progress.figures import Figures
from backend_worker.worker import telling
from backend_worker.worker.metrics import Sample, ScanSample
from backend_worker.worker.telling import Teller, progress_line, status_line


def scan(*, walk_ended=True, rate=812.0, scan_id=1, **figures):
    counts = {"found": 100_000, "stored": 43_000, "folder": "/music/Björk", **figures}
    return ScanSample(
        figures=Figures(scan_id=scan_id, walk_ended=walk_ended, **counts), files_per_second=rate
    )


def sample(*scans, processes=4, queued=1240, reserved=4, active=4, hangs=()):
    return Sample(
        processes=processes,
        max_processes=4,
        reserved=reserved,
        active=active,
        queued=queued,
        scans=scans,
        hangs=hangs,
    )


IDLE = sample(processes=1, queued=0, reserved=0, active=0)


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (IDLE, "1/4 processes · idle"),
        (sample(), "4/4 processes · 1240 queued"),
        (sample(scan()), "4/4 processes · 1240 queued · 812 files/s · scan 43 %, 1 min left"),
        (
            sample(scan(walk_ended=False)),
            "4/4 processes · 1240 queued · 812 files/s · scan has found 100,000 files so far",
        ),
        (sample(scan(rate=0.0)), "4/4 processes · 1240 queued · 0 files/s · scan 43 %"),
        (
            sample(scan(), scan(scan_id=2)),
            "4/4 processes · 1240 queued · 1624 files/s · scan 43 %, 1 min left (and 1 more)",
        ),
        (
            sample(hangs=({"sentence": "the folder /srv/music has not answered for 40 s"},)),
            "4/4 processes · 1240 queued · the folder /srv/music has not answered for 40 s",
        ),
        (sample(queued=None), "4/4 processes · Redis does not answer"),
        (
            sample(scan(stored=100_000), queued=0),
            "4/4 processes · 0 queued · 812 files/s · scan 100 %",
        ),
    ],
)
def test_status_line(state, line):
    assert status_line(state) == line


def test_progress_line():
    line = progress_line(scan(scan_id=3, rate=81.0), 4)
    done = "43,000 of 100,000 files done"
    assert line == f"scan 3: 43 %, 12 min left; {done}; 81 files/s; 4 processes"
    line = progress_line(scan(walk_ended=False), 1)
    assert "has found 100,000 files so far, 43,000 done; in /music/Björk" in line


class FakeSampler:
    """Stands for the worker, with whatever a test says of it."""

    def __init__(self):
        self.state = IDLE
        self.looks = 0

    def has_work(self):
        return self.state.busy

    def sample(self):
        self.looks += 1
        return self.state


@pytest.fixture
def sampler():
    return FakeSampler()


@pytest.fixture
def run(sampler):
    """Let the clock of a teller go on for so many seconds, tick by tick."""
    now = [0.0]
    teller = Teller(sampler, clock=lambda: now[0])

    def run(seconds):
        for _ in range(int(seconds / telling.TICK_SECONDS)):
            teller.tick()
            now[0] += telling.TICK_SECONDS

    return run


def test_idle_worker_is_left_alone(sampler, run):
    run(600)
    assert sampler.looks <= 600 / telling.IDLE_LOOK_SECONDS + 1


def test_busy_worker_is_looked_at_each_time(sampler, run):
    sampler.state = sample(scan())
    run(60)
    assert sampler.looks == 60 / telling.TICK_SECONDS


def test_progress_of_each_scan_is_logged_once_a_minute(sampler, run, caplog):
    caplog.set_level(logging.INFO)
    sampler.state = sample(scan(scan_id=1), scan(scan_id=2))
    run(50)
    assert caplog.messages == []  # a short scan has its lines of start and end
    run(12 + 240)
    for scan_id in (1, 2):
        assert sum(line.startswith(f"scan {scan_id}:") for line in caplog.messages) == 5
    sampler.state = IDLE
    caplog.clear()
    run(300)
    assert caplog.messages == []
