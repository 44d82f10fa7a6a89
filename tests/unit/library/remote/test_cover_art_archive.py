import email.utils
import socket
import time

import pytest

from backend_worker.library.artwork import MAX_PICTURE_BYTES
from backend_worker.library.remote import RemoteAway, UnusableAnswer
from backend_worker.library.remote.client import RemoteClient, retry_after
from backend_worker.library.remote.cover_art_archive import front_cover
from tests.support.cover_archive import Answer, cover_archive

MBID = "6b5a0a3f-9d7c-4f6e-8b3a-0d4f2f0f7a11"
KEY = f"release/{MBID}"
PICTURE = b"\xff\xd8 a picture " * 1000


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def archive():
    with cover_archive() as running:
        yield running


@pytest.fixture
def turns():
    return []


@pytest.fixture
def client(archive, turns):
    with make_client(archive.url, turns) as made:
        yield made


def make_client(url, turns, **options):
    options = {"timeout": 0.5, "total_timeout": 1.5} | options
    return RemoteClient(
        url, user_agent="test/1 ( me )", throttle=lambda: turns.append(time.monotonic()), **options
    )


def front(client):
    return front_cover(client, "release", MBID)


def test_the_cover_comes_over_two_redirects(archive, client, turns):
    archive.pictures[KEY] = PICTURE
    assert front(client) == PICTURE
    assert archive.paths == [f"/release/{MBID}/front-500"]
    assert len(turns) == 1  # the other hosts are not the archive


def test_the_cover_of_a_release_group(archive, client):
    archive.pictures[f"release-group/{MBID}"] = PICTURE
    assert front(client) is None
    assert front_cover(client, "release-group", MBID) == PICTURE


def test_we_say_who_we_are_and_ask_for_pictures_as_they_are(archive, client):
    archive.pictures[KEY] = PICTURE
    front(client)
    headers = archive.requests[0][1]
    assert headers["User-Agent"] == "test/1 ( me )"
    assert headers["Accept"] == "image/*"
    assert headers["Accept-Encoding"] == "identity"


def test_each_request_waits_for_its_turn(archive, client, turns):
    archive.pictures[KEY] = PICTURE
    for _ in range(3):
        front(client)
    assert len(turns) == 3
    for (_, _, arrived), turn in zip(archive.requests, turns, strict=True):
        assert turn <= arrived


@pytest.mark.parametrize("status", [400, 404, 410])
def test_no_cover_is_an_answer(archive, client, status):
    archive.answers[KEY] = Answer(status, content_type="text/html", body=b"none")
    assert front(client) is None


def test_a_cover_that_the_mirror_lost_is_a_miss(archive, client):
    archive.mirror_answers[KEY] = Answer(404)
    assert front(client) is None


def test_a_circle_of_redirects_ends(archive, client, turns):
    archive.answers[KEY] = Answer(307, {"Location": f"{archive.url}/{KEY}/front-500"})
    with pytest.raises(UnusableAnswer, match="redirects more than 5 times"):
        front(client)
    assert len(archive.requests) == len(turns) == 6  # each of them took its turn


@pytest.mark.parametrize(
    "location", ["ftp://127.0.0.1/cover.jpg", "file:///etc/passwd", "http://[broken/"]
)
def test_redirects_lead_to_http_only(archive, client, location):
    archive.answers[KEY] = Answer(302, {"Location": location})
    with pytest.raises((UnusableAnswer, RemoteAway)):
        front(client)


def test_a_relative_redirect(archive, client):
    archive.pictures["release/other"] = PICTURE
    archive.answers[KEY] = Answer(302, {"Location": "/release/other/front-500"})
    assert front(client) == PICTURE


@pytest.mark.parametrize("status", [429, 503])
def test_an_overloaded_service_says_when_to_come_back(archive, client, status):
    archive.answers[KEY] = Answer(status, {"Retry-After": "120"})
    with pytest.raises(RemoteAway, match=str(status)) as caught:
        front(client)
    assert caught.value.retry_after == 120
    assert len(archive.requests) == 1


def test_a_short_pause_is_waited_for(archive, client):
    archive.pictures[KEY] = PICTURE
    archive.answers[KEY] = [
        Answer(503, {"Retry-After": "1"}),
        Answer(307, {"Location": f"{archive.mirror_url}/items/{KEY}"}),
    ]
    assert front(client) == PICTURE
    assert archive.requests[1][2] - archive.requests[0][2] >= 1


def test_but_only_once(archive, client):
    archive.answers[KEY] = Answer(503, {"Retry-After": "1"})
    with pytest.raises(RemoteAway) as caught:
        front(client)
    assert caught.value.retry_after == 1
    assert len(archive.requests) == 2


@pytest.mark.parametrize("status", [401, 403, 500, 502, 503])
def test_a_service_that_fails_or_refuses_us_is_left_alone(archive, client, status):
    archive.answers[KEY] = Answer(status)
    with pytest.raises(RemoteAway, match=f"answers {status}") as caught:
        front(client)
    assert caught.value.retry_after is None


@pytest.mark.parametrize("answer", [Answer(500), Answer(403), Answer(reset=True), Answer(delay=1)])
def test_a_mirror_that_fails_spoils_this_cover_only(archive, client, answer):
    archive.mirror_answers[KEY] = answer
    with pytest.raises(UnusableAnswer):
        front(client)


def test_a_mirror_that_asks_for_a_pause_gets_it(archive, client):
    archive.mirror_answers[KEY] = Answer(503, {"Retry-After": "60"})
    with pytest.raises(RemoteAway) as caught:
        front(client)
    assert caught.value.retry_after == 60


def test_a_truncated_body_is_not_taken_for_whole(archive, client):
    archive.mirror_answers[KEY] = Answer(body=PICTURE, claimed_length=len(PICTURE) + 1)
    with pytest.raises(UnusableAnswer, match="breaks off"):
        front(client)


def test_too_large_a_body_is_not_read_to_its_end(archive, client):
    archive.mirror_answers[KEY] = Answer(body=bytes(MAX_PICTURE_BYTES + 1))
    with pytest.raises(UnusableAnswer, match="larger than"):
        front(client)
    archive.mirror_answers[KEY] = Answer(body=bytes(MAX_PICTURE_BYTES))
    assert len(front(client)) == MAX_PICTURE_BYTES


def test_the_wrong_type_is_refused(archive, client):
    archive.answers[KEY] = Answer(body=b"<h1>Log in to this hotel</h1>", content_type="text/html")
    with pytest.raises(UnusableAnswer, match="text/html"):
        front(client)
    archive.answers[KEY] = Answer(body=PICTURE, content_type=None)
    with pytest.raises(UnusableAnswer, match="of type ''"):
        front(client)


def test_a_slow_service_is_away(archive, client):
    archive.answers[KEY] = Answer(delay=5)
    start = time.monotonic()
    with pytest.raises(RemoteAway, match="does not answer: timed out"):
        front(client)
    assert time.monotonic() - start < 2


def test_an_answer_that_drips_for_ever_is_given_up(archive, client):
    archive.mirror_answers[KEY] = Answer(body=PICTURE, drip=0.05)
    start = time.monotonic()
    with pytest.raises(UnusableAnswer, match="takes more than"):
        front(client)
    assert time.monotonic() - start < 4


def test_a_body_that_stops_is_given_up(archive, client):
    archive.mirror_answers[KEY] = Answer(body=PICTURE, drip=5)
    with pytest.raises(UnusableAnswer, match="breaks off"):
        front(client)


def test_a_service_that_hangs_up_is_away(archive, client, turns):
    archive.answers[KEY] = Answer(reset=True)
    with pytest.raises(RemoteAway, match="does not answer"):
        front(client)
    assert len(turns) == 2


def test_an_idle_connection_that_was_closed_is_no_sign_of_being_away(archive, client):
    archive.answers[KEY] = [Answer(body=PICTURE), Answer(reset=True), Answer(body=PICTURE)]
    assert front(client) == PICTURE
    assert front(client) == PICTURE
    archive.answers[KEY] = Answer(body=PICTURE, hang_up_after=True)
    for _ in range(5):
        assert front(client) == PICTURE


def test_connection_refused_is_away(turns):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with make_client(f"http://127.0.0.1:{port}", turns) as client, pytest.raises(RemoteAway):
        front(client)


def test_an_unknown_host_is_away(turns):
    with make_client("http://archive.invalid", turns) as client, pytest.raises(RemoteAway):
        front(client)


def test_a_base_address_with_a_path_and_a_slash(archive, turns):
    with make_client(f"{archive.url}/proxy/", turns) as client:
        assert front(client) is None
    assert archive.paths == [f"/proxy/release/{MBID}/front-500"]


def test_a_throttle_that_fails_sends_nothing(archive):
    def throttle():
        raise ConnectionError("Redis is away")

    client = RemoteClient(archive.url, user_agent="test", throttle=throttle)
    with client, pytest.raises(ConnectionError, match="Redis"):
        front(client)
    assert archive.requests == []


def test_retry_after_as_a_date():
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert 55 <= retry_after(in_a_minute) <= 60
    assert retry_after(email.utils.formatdate(0, usegmt=True)) == 1  # long past
    assert retry_after("Wed, 21 Oct 2099 07:28:00 GMT") == 86400


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 1),
        (" 7 ", 7),
        ("9" * 400, 86400),
    ],
)
def test_retry_after_as_a_number(text, seconds):
    assert retry_after(text) == seconds
