"""Rates, names and origins, without a server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.dashboard import guard
from backend_worker.dashboard.errors import Refusal


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_is_allowed_and_then_a_steady_rate():
    clock = Clock()
    rates = guard.Rates(2, 5, clock)
    assert [rates.take("a") for _ in range(5)] == [0] * 5
    assert rates.take("a") == pytest.approx(0.5)
    assert rates.take("b") == 0  # another address has a bucket of its own
    clock.now += 0.5
    assert rates.take("a") == 0
    assert rates.take("a") > 0


@given(st.lists(st.floats(0, 3), max_size=200))
def test_in_the_long_run_no_more_than_the_rate(pauses):
    clock = Clock()
    rates = guard.Rates(2, 5, clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        allowed += rates.take("a") == 0
    assert allowed <= 5 + 2 * clock.now + 1e-6


def test_addresses_are_not_remembered_without_end():
    rates = guard.Rates(1, 1)
    for number in range(3 * guard.MOST_CLIENTS):
        rates.take(str(number))
    assert len(rates._buckets) == guard.MOST_CLIENTS


@pytest.mark.parametrize("host", ["pi", "PI:80", "pi.", "10.0.0.5", "[fe80::1]:8337", "::1"])
def test_hosts_that_are_ours(host):
    guard.check_host(host, {"pi"})


@pytest.mark.parametrize("host", ["", ":80", "pi.evil.example", "pi@evil", "1.2.3.4.evil", "["])
def test_hosts_that_are_not(host):
    with pytest.raises(Refusal, match="not a name of this machine"):
        guard.check_host(host, {"pi"})


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost:8337", True),
        ("127.0.0.1", True),
        ("[::1]:8337", True),
        ("127.5.5.5:1", True),
        ("192.168.1.5:8337", False),
        ("raspberrypi.local", False),
    ],
)
def test_what_is_loopback(host, here):
    assert guard.is_loopback(host) is here


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://pi:8337"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_our_page_and_programs_may_write(headers):
    guard.check_origin(headers, "pi:8337")
