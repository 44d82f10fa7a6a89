"""What a person sees of a running scan."""

from datetime import UTC, datetime

import pytest

from backend_worker.cli.follow import eta
from backend_worker.storage.scans import ScanStatus


def status(*, found=100, waiting=40, walk_ended=True):
    return ScanStatus(
        id=1,
        root="/music",
        status="running",
        started_at=datetime(2024, 1, 1, tzinfo=UTC),
        finished_at=None,
        walk_ended=walk_ended,
        walk_complete=walk_ended,
        directories=1,
        found=found,
        stored=found - waiting,
        unchanged=0,
        failed=0,
        ignored=0,
        waiting=waiting,
        moved=0,
        gone=0,
        error_count=0,
        left_out=0,
        message=None,
    )


@pytest.mark.parametrize(
    ("waiting", "rate", "text"), [(40, 10, "0:04"), (4000, 1, "1:06:40"), (40, 0, "…")]
)
def test_time_left(waiting, rate, text):
    assert eta(status(waiting=waiting, found=5000), rate) == text


def test_time_left_is_unknown_while_the_walk_goes_on():
    assert eta(status(walk_ended=False), 10) == "…"
