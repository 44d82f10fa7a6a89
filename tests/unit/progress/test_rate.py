"""Files per second, and the time that is left."""

import pytest

from backend_worker.progress.rate import Rate, time_left


def test_rate_is_that_of_the_last_seconds():
    clock = iter([0.0, 1.0, 20.0, 21.0, 22.0])
    rate = Rate(clock=lambda: next(clock))
    assert rate.update(0) == 0
    assert rate.update(100) == 100
    rate.update(100)
    rate.update(150)
    assert rate.update(200) == pytest.approx(50)


@pytest.mark.parametrize(
    ("waiting", "rate", "text"),
    [
        (100, 0, None),
        (0, 10, None),
        (1, 10, "1 s left"),
        (100, 10, "10 s left"),
        (57_000, 812, "1 min left"),
        (100_000, 20, "83 min left"),
        (100_000, 10, "3 h left"),
    ],
)
def test_time_left(waiting, rate, text):
    assert time_left(waiting, rate) == text
