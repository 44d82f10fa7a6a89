"""Who may do what: names of this machine, the token, other sites, and how often."""

import socket

import pytest

from backend_worker.dashboard.endpoints import ENDPOINTS
from tests.support import lab
from tests.support.dashboard import TOKEN


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:8337", 200),
        ("[::1]:8337", 200),
        ("192.168.1.20:8337", 200),  # an address cannot be bent to another machine
        (socket.gethostname(), 200),
        (f"{socket.gethostname().partition('.')[0]}.local:8337", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example:8337", 403),
        ("", 403),
    ],
)
def test_only_our_names_are_answered(dashboard, host, status):
    answer = dashboard.get("/api/scans", Host=host)
    assert answer.status == status
    if status == 403:
        assert "BACKEND_WORKER_DASHBOARD_ALLOWED_HOSTS" in answer.error


def test_further_names_can_be_allowed(own):
    dashboard = own(allowed_hosts="music.home, Jukebox")
    for host in ("music.home", "MUSIC.HOME:80", "jukebox"):
        assert dashboard.get("/healthz", Host=host).status == 200
    assert dashboard.get("/healthz", Host="other.home").status == 403


WRITES = [(e.method, e.path.replace("{id}", "1")) for e in ENDPOINTS if e.writes]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_nothing_is_changed_without_the_token(dashboard, method, path):
    for token in (None, "wrong", TOKEN[:-1], TOKEN + "x", "ünïcode"):
        answer = dashboard.write(method, path, token=token and token.encode().decode("latin-1"))
        assert answer.status == 401
        assert TOKEN not in answer.error
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_pages_of_other_sites_cannot_write_even_with_the_token(dashboard, method, path, headers):
    answer = dashboard.write(method, path, **headers)
    assert answer.status == 403
    assert "another site" in answer.error


def test_without_a_token_file_nothing_can_be_changed(own):
    dashboard = own(token_file="")
    answer = dashboard.write("POST", "/api/scans")
    assert answer.status == 403
    assert "no token is set" in answer.error


def test_a_new_token_holds_at_once(own):
    dashboard = own()
    dashboard.token_file.write_text("another-token-0123456789")
    assert dashboard.write("DELETE", "/api/scans/999999").status == 401
    answer = dashboard.write("DELETE", "/api/scans/999999", token="another-token-0123456789")
    assert (answer.status, answer.error) == (404, "there is no scan 999999")
    dashboard.token_file.write_text("short")
    assert "shorter than" in dashboard.write("DELETE", "/api/scans/1", token="short").error


def test_one_address_may_not_ask_for_everything_at_once(own):
    dashboard = own(requests_per_second=1)
    answers = [dashboard.get("/healthz") for _ in range(12)]
    refused = [answer for answer in answers if answer.status == 429]
    assert answers[0].status == 200
    assert refused
    assert int(refused[0].headers["Retry-After"]) >= 1
    lab.wait_for(lambda: dashboard.get("/healthz").status == 200, 10, "a free place")
