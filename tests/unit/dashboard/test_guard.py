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
    guard.check_origin(headers, ["pi:8337"])


@pytest.mark.parametrize("origin", ["https://music.home", "https://MUSIC.home:8443", "http://pi:1"])
def test_our_page_may_write_through_a_proxy_that_changed_the_host(origin):
    guard.check_origin({"Origin": origin}, ["127.0.0.1:8337", "pi:1"], {"music.home"})


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://music.home.evil", "http://pi:2", "null", "http://"]
)
def test_other_pages_may_not(origin):
    with pytest.raises(Refusal, match="another site"):
        guard.check_origin({"Origin": origin}, ["127.0.0.1:8337", "pi:1"], {"music.home"})


def test_every_host_that_a_request_was_made_for_is_looked_at():
    headers = {"Host": "127.0.0.1:8337", "X-Forwarded-Host": "evil.example, music.home:8443"}
    assert guard.asked_hosts(headers) == ["127.0.0.1:8337", "evil.example", "music.home:8443"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("127.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("::1", "10.0.0.1, 2001:db8::1", "2001:db8::1"),  # the last is what the proxy saw
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown", "127.0.0.1"),
        ("192.0.2.9", "192.0.2.1", "192.0.2.9"),  # from elsewhere anybody could say so
    ],
)
def test_whose_request_it_is(peer, forwarded, client):
    assert guard.client_address({"X-Forwarded-For": forwarded}, peer) == client
