from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library.remote import RemoteAway, UnusableAnswer
from backend_worker.library.remote.client import RemoteClient
from backend_worker.library.remote.musicbrainz import Release, escape, find_release
from tests.support.cover_archive import Answer, cover_archive

MBIDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(10)]
GROUP = "aaaaaaaa-0000-4000-8000-000000000000"
OTHER_GROUP = "bbbbbbbb-0000-4000-8000-000000000000"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def service():
    with cover_archive() as running:
        yield running


@pytest.fixture
def client(service):
    with RemoteClient(f"{service.url}/ws/2", user_agent="test", throttle=lambda: None) as made:
        yield made


def hit(number=0, title="Homogenic", artist="Björk", **changes):
    return {
        "id": MBIDS[number],
        "score": 100,
        "status": "Official",
        "title": title,
        "artist-credit": [{"name": artist, "artist": {"id": GROUP, "name": artist}}],
        "release-group": {"id": GROUP},
    } | changes


def find(client, artist="Björk", title="Homogenic"):
    return find_release(client, artist, title)


def test_a_certain_hit_is_taken(service, client):
    service.releases = [hit()]
    assert find(client) == Release(MBIDS[0], GROUP)
    query = parse_qs(urlsplit(service.paths[0]).query)
    assert query["query"] == ['release:"Homogenic" AND artist:"Björk"']
    assert query["fmt"] == ["json"]
    assert service.requests[0][1]["Accept"] == "application/json"


def test_spelling_does_not_matter(service, client):
    service.releases = [hit(title="HOMOGENIC", artist="Bjork")]
    assert find(client) == Release(MBIDS[0], GROUP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"score": 94},
        {"score": None},
        {"score": "high"},
        {"title": "Homogenic Live"},
        {"title": None},
        {"artist": "Björn"},
        {"artist-credit": None},
        {"artist-credit": []},
        {"artist-credit": ["Björk"]},
        {"id": "not-an-id"},
        {"id": None},
    ],
)
def test_anything_less_is_not_taken(service, client, wrong):
    service.releases = [hit(**wrong)]
    assert find(client) is None


def test_a_score_of_95_or_as_text_is_enough(service, client):
    service.releases = [hit(score="95")]
    assert find(client) == Release(MBIDS[0], GROUP)


def test_of_several_editions_the_first_official_one(service, client):
    service.releases = [hit(1, status="Bootleg"), hit(2), hit(3)]
    assert find(client) == Release(MBIDS[2], GROUP)
    service.releases = [hit(1, status="Bootleg"), hit(2, status=None)]
    assert find(client) == Release(MBIDS[1], GROUP)


def test_two_albums_of_one_name_are_no_certain_answer(service, client):
    service.releases = [hit(1), hit(2, **{"release-group": {"id": OTHER_GROUP}})]
    assert find(client) is None


def test_a_wrong_hit_beside_the_right_one_does_not_disturb(service, client):
    other = {"release-group": {"id": OTHER_GROUP}}
    service.releases = [hit(1, title="Homogenic Live", **other), hit(2), hit(3, score=90, **other)]
    assert find(client) == Release(MBIDS[2], GROUP)


def test_a_release_without_a_group(service, client):
    service.releases = [hit(**{"release-group": None})]
    assert find(client) == Release(MBIDS[0], None)


def test_several_artists_are_compared_as_credited_or_by_their_own_names(service, client):
    credit = [
        {"name": "Mr. Simon", "joinphrase": " & ", "artist": {"name": "Paul Simon"}},
        {"name": "Mr. Garfunkel", "artist": {"name": "Art Garfunkel"}},
    ]
    service.releases = [hit(**{"artist-credit": credit})]
    assert find(client, artist="Mr. Simon and Mr. Garfunkel") is not None
    assert find(client, artist="Paul Simon & Art Garfunkel") is not None
    assert find(client, artist="Paul Simon") is None


def test_various_artists_in_any_language(service, client):
    service.releases = [hit(artist="Various Artists")]
    assert find(client, artist="Verschiedene Künstler") is not None
    assert find(client, artist="Björk") is None


def test_nothing_found(service, client):
    assert find(client) is None
    service.search_answer = Answer(404, content_type="application/json", body=b"{}")
    assert find(client) is None


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"error": "x"}', b'{"releases": 3}', b"\xff", b"null"]
)
def test_an_answer_that_is_no_search_result(service, client, body):
    service.search_answer = Answer(body=body, content_type="application/json")
    with pytest.raises(UnusableAnswer, match="not the JSON"):
        find(client)


def test_an_overloaded_service_is_away(service, client):
    service.search_answer = Answer(503, {"Retry-After": "30"})
    with pytest.raises(RemoteAway) as caught:
        find(client)
    assert caught.value.retry_after == 30


def test_lucenes_special_characters_are_escaped(service, client):
    assert escape('AC/DC: "Back" (in) [Black]?') == r"AC\/DC\: \"Back\" \(in\) \[Black\]\?"
    service.releases = [hit(title='What? "No"', artist="AC/DC")]
    assert find(client, artist="AC/DC", title='What? "No"') is not None
    query = parse_qs(urlsplit(service.paths[0]).query)["query"]
    assert query == [r'release:"What\? \"No\"" AND artist:"AC\/DC"']


@given(text=st.text())
def test_escaped_text_cannot_end_the_quotation(text):
    escaped = escape(text)
    position, plain = 0, ""
    while position < len(escaped):
        if escaped[position] == "\\":
            position += 1
        else:
            assert escaped[position] not in '+-&|!(){}[]^"~*?:/'
        plain += escaped[position]
        position += 1
    assert plain == text
