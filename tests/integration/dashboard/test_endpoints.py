"""What the API answers: as described, page by page, and with a sentence where it cannot."""

import json

import jsonschema
import pytest

from backend_worker.dashboard import openapi
from backend_worker.dashboard.endpoints import ENDPOINTS
from backend_worker.storage import search
from tests.integration.dashboard.conftest import TRACKS
from tests.support.dashboard import ids


def test_every_answer_is_as_it_is_described(music, dashboard):
    known = ids(dashboard)
    schema = {"components": {"schemas": openapi.SCHEMAS}}
    answered = 0
    for endpoint in ENDPOINTS:
        if endpoint.method != "GET":
            continue
        [group] = [name for name in known if f"/{name}/" in endpoint.path] or [None]
        path = endpoint.path.replace("{id}", str(known.get(group)))
        answer = dashboard.get(path + ("?q=a" if path == "/api/search" else ""))
        assert answer.status == 200, (path, answer.body)
        jsonschema.validate(
            answer.json, schema | {"$ref": f"#/components/schemas/{endpoint.schema}"}
        )
        answered += 1
    assert answered >= 12


def test_the_description_names_every_route_and_is_sound(dashboard):
    from backend_worker.dashboard.server import _routes

    described = dashboard.get("/api/openapi.json").json
    assert described["openapi"].startswith("3.1")
    routes = {route[0] for route in _routes()}
    paths = {
        path.replace("{id}", "(?P<id>[^/]+)").replace(".", r"\.") for path in described["paths"]
    }
    others = {r"/api(?:/.*)?", r"/(.*)"}  # what is nothing, and the files of the page
    assert routes - others == paths
    operations = [o for path in described["paths"].values() for o in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    for operation in operations:
        assert operation["summary"]
        assert operation["responses"]
    text = json.dumps(described)
    for reference in set(json_references(described)):
        assert reference.removeprefix("#/components/schemas/") in openapi.SCHEMAS, text[:100]


def json_references(data):
    if isinstance(data, dict):
        for key, value in data.items():
            if key == "$ref":
                yield value
            yield from json_references(value)
    elif isinstance(data, list):
        for value in data:
            yield from json_references(value)


def test_status_knows_the_worker_and_the_library(music, dashboard):
    status = dashboard.get("/api/status").json
    [worker] = status["workers"]
    assert worker["name"].startswith("celery-worker@")
    assert 1 <= worker["processes"] <= worker["max_processes"]
    assert len(status["queues"]) == 8
    assert status["library"]["tracks"] == search.totals()["tracks"] >= TRACKS
    assert status["library"]["bytes"] > 0
    assert status["scan"] is None
    assert status["board"]["pss_bytes"] > 20e6


@pytest.mark.parametrize(
    ("path", "name", "sorts"),
    [
        ("/api/albums", "albums", ["title", "artist", "date", "newest"]),
        ("/api/artists", "artists", ["name", "newest"]),
        ("/api/tracks", "tracks", [None]),
    ],
)
def test_pages_follow_each_other_without_gap_or_double(music, dashboard, path, name, sorts):
    every = {row["id"] for row in dashboard.get(f"{path}?limit=200").json[name]}
    assert len(every) > 10
    for sort in sorts:
        found, after = [], ""
        while True:
            order = f"&sort={sort}" if sort else ""
            page = dashboard.get(f"{path}?limit=4{order}{after}").json
            found += [row["id"] for row in page[name]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert len(found) == len(set(found))
        assert set(found) == every


def test_albums_are_sorted_and_found_by_words(music, dashboard):
    titles = [a["title"].casefold() for a in dashboard.get("/api/albums?limit=200").json["albums"]]
    plain = [t for t in titles if t.isascii() and t[0].isalnum() and not t.startswith("the ")]
    assert plain == sorted(plain)
    [album, *_] = dashboard.get("/api/albums?limit=1").json["albums"]
    words = album["title"].split()[0]
    from urllib.parse import quote

    found = dashboard.get(f"/api/albums?q={quote(words)}").json["albums"]
    assert album["id"] in {row["id"] for row in found}
    assert len(found) < len(titles)


def test_more_like_this_is_never_the_track_itself(music, dashboard):
    track = ids(dashboard)["tracks"]
    answer = dashboard.get(f"/api/tracks/{track}/similar?limit=5").json
    assert answer["track"]["id"] == track
    assert 1 <= len(answer["similar"]) <= 5
    assert track not in {row["id"] for row in answer["similar"]}


def test_a_name_that_is_not_utf_8_arrives_as_valid_json(music, dashboard):
    failures = dashboard.get("/api/failures?limit=500").json["failures"]
    [failure] = [row for row in failures if "caf" in row["path"]]
    assert failure["path"].endswith(r"caf\xe9 <b>🦔.mp3")
    assert failure["reason"]


def test_what_is_not_there_is_404_with_a_sentence(music, dashboard):
    for path in (
        "/api/albums/999999",
        "/api/artists/999999",
        "/api/tracks/999999",
        "/api/tracks/999999/similar",
        "/api/scans/999999",
        "/api/covers/999999",
        "/api/nothing",
        "/nothing",
    ):
        answer = dashboard.get(path)
        assert answer.status == 404, path
        assert answer.error.startswith("there is no"), path


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/api/albums?limit=0", "limit='0': expected a whole number from 1 to 200"),
        ("/api/albums?limit=many", "limit='many': expected a whole number"),
        ("/api/albums?sort=size", "sort='size': use title, artist, date, newest"),
        ("/api/albums?after=zz", "`after` is not the `next`"),
        ("/api/tracks?after=WyJ4IiwxXQ", "`after` is not the `next`"),
        ("/api/albums?after=WyJcdTAwMDAiLDFd&sort=newest", "`after` is not the `next`"),
        ("/api/tracks/x", "id='x': expected a whole number"),
        ("/api/tracks/99999999999999999999", "expected a whole number"),
        ("/api/search?q=" + "x" * 201, "q is longer than 200 characters"),
        ("/api/events?after=then", "after='then': expected the id of an event"),
    ],
)
def test_unusable_parameters_get_a_sentence(dashboard, path, sentence):
    answer = dashboard.get(path)
    assert answer.status == 400
    assert sentence in answer.error


@pytest.mark.parametrize("words", ["%00", "%ff%fe", "'%22%5C%25_", "%F0%9F%A6%94", "a+b+c+d+e+f"])
def test_no_words_break_the_search(music, dashboard, words):
    assert dashboard.get(f"/api/search?q={words}").status in {200, 400}
    assert dashboard.get(f"/api/albums?q={words}").status in {200, 400}
