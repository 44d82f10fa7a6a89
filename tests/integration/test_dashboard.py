"""The dashboard as a browser sees it: a real server, a real library, a real worker."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import jsonschema
import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.dashboard import openapi
from backend_worker.dashboard.endpoints import ENDPOINTS
from backend_worker.dashboard.limits import MOST_BODY_BYTES, MOST_DISCARDED_BYTES
from backend_worker.dashboard.sse import MOST_LISTENERS, MOST_LISTENERS_OF_ADDRESS
from backend_worker.library.sample import make_library
from tests.support import lab
from tests.support.dashboard import TOKEN, Answer, Dashboard, free_port
from tests.support.flower import running_flower

ROOT = pathlib.Path(__file__).resolve().parents[2]
TRACKS = 60
ODD_NAME = b"caf\xe9 <b>\xf0\x9f\xa6\x94.mp3"  # neither UTF-8 nor harmless in HTML


@pytest.fixture(scope="module")
def music(tmp_path_factory, servers, worker):
    """A library that the worker has scanned, with a file that is no music."""
    root = tmp_path_factory.mktemp("dashboard") / "music"
    make_library(str(root), tracks=TRACKS)
    with open(os.fsencode(root) + b"/" + ODD_NAME, "wb") as file:
        file.write(b"no music")
    old = time.time() - 3600
    os.utime(os.fsencode(root) + b"/" + ODD_NAME, (old, old))
    lab.empty()
    status = lab.scan(root)
    assert status.stored == TRACKS
    lab.settle()
    return root


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory, servers):
    with Dashboard(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def own(tmp_path, servers):
    """Starts dashboards with settings of the test's own."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(Dashboard(tmp_path, **settings))


def publish(kind="test.event", scan=None, **details):
    from backend_worker.progress import events

    events.publish(kind, scan, **details)


# ---- the API


def ids(dashboard):
    """Return an id of each sort that is there."""
    [album] = [a for a in dashboard.get("/api/albums?limit=200").json["albums"] if a["cover"]][:1]
    track = dashboard.get(f"/api/albums/{album['id']}").json["tracks"][0]["id"]
    artist = dashboard.get("/api/artists?limit=1").json["artists"][0]["id"]
    return {"albums": album["id"], "tracks": track, "artists": artist, "scans": 1}


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
    assert status["library"]["tracks"] == TRACKS
    assert status["library"]["bytes"] > 0
    assert status["scan"] is None
    assert status["board"]["pss_bytes"] > 20e6


@pytest.mark.parametrize(
    ("path", "name", "sorts"),
    [
        ("/api/albums", "albums", ["title", "artist", "date", "newest"]),
        ("/api/artists", "artists", ["name", "newest"]),
    ],
)
def test_pages_follow_each_other_without_gap_or_double(music, dashboard, path, name, sorts):
    every = {row["id"] for row in dashboard.get(f"{path}?limit=200").json[name]}
    assert len(every) > 10
    for sort in sorts:
        found, after = [], ""
        while True:
            page = dashboard.get(f"{path}?limit=4&sort={sort}{after}").json
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


@pytest.mark.parametrize("size", ["small", "full"])
def test_covers_are_pictures_that_browsers_keep_until_they_change(music, dashboard, size):
    album = dashboard.get(f"/api/albums/{ids(dashboard)['albums']}").json
    path = f"/api/covers/{album['id']}?size={size}"
    answer = dashboard.get(f"{path}&version={album['cover']}")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("image/")
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 100
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    # without the version, or with that of an earlier cover, they ask each time
    for query in ("", "&version=", "&version=0123456789abcdef", "&version=null"):
        again = dashboard.get(path + query, If_None_Match=answer.headers["Etag"])
        assert (again.status, again.body) == (304, b"")
        assert again.headers["Cache-Control"] == "private, no-cache"


def test_another_cover_has_another_address(music, dashboard):
    first, second = [
        a for a in dashboard.get("/api/albums?limit=200").json["albums"] if a["cover"]
    ][:2]
    change = "UPDATE album SET cover = %s WHERE id = %s RETURNING id"
    hashes = dict(lab.rows("SELECT id, cover FROM album"))
    before = dashboard.get(f"/api/covers/{first['id']}")
    lab.rows(change, hashes[second["id"]], first["id"])
    try:
        now = dashboard.get(f"/api/albums/{first['id']}").json["cover"]
        assert now == second["cover"] != first["cover"]
        answer = dashboard.get(f"/api/covers/{first['id']}", If_None_Match=before.headers["Etag"])
        assert (answer.status, answer.body != before.body) == (200, True)
    finally:
        lab.rows(change, hashes[first["id"]], first["id"])


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


def test_the_page_and_its_files_are_there(dashboard):
    answer = dashboard.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert dashboard.get("/index.html", If_None_Match=answer.headers["Etag"]).status == 304
    for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "//etc/passwd"):
        assert dashboard.get(path).status in {403, 404}, path


def test_prometheus_understands_the_figures(music, dashboard):
    parser = pytest.importorskip("prometheus_client.parser", reason="comes with Flower")
    answer = dashboard.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in parser.text_string_to_metric_families(answer.body.decode())}
    assert families["backend_worker_library_tracks"].samples[0].value == TRACKS
    assert families["backend_worker_processes"].samples[0].value >= 1
    assert len(families["backend_worker_queue_messages"].samples) == 8
    for server in ("redis", "postgresql"):
        assert families[f"backend_worker_{server}_up"].samples[0].value == 1
    assert all(family.documentation for family in families.values())


# ---- who may do what


def test_every_answer_has_the_security_headers(music, dashboard):
    cover = f"/api/covers/{ids(dashboard)['albums']}"
    for path in ("/", "/api/status", cover, "/api/nothing", "/metrics", "/api/tracks/x"):
        headers = dashboard.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy or "default-src 'none'; sandbox" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert "camera=()" in headers["Permissions-Policy"]
        assert headers["Server"] is None
        assert "Access-Control-Allow-Origin" not in headers


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


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_are_refused(dashboard, method):
    assert dashboard.request(method, "/api/scans").status in {401, 405}


@pytest.mark.parametrize("size", [MOST_BODY_BYTES + 1, MOST_DISCARDED_BYTES])
@pytest.mark.parametrize("chunked", [False, True], ids=["whole", "chunked"])
def test_a_body_that_is_too_large_is_refused_with_a_sentence(dashboard, size, chunked):
    body = b"x" * size
    for method, path in (("POST", "/api/scans"), ("GET", "/"), ("PUT", "/nothing")):
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port, timeout=30)
        connection.request(method, path, iter([body]) if chunked else body, encode_chunked=chunked,
                           headers={"Transfer-Encoding": "chunked"} if chunked else {})  # fmt: skip
        answer = Answer(reply := connection.getresponse(), reply.read())
        assert (answer.status, answer.error) == (
            413,
            "the body is larger than 64 kB, the most taken here",
        )
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        # the connection is as good as before
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_body_of_many_megabytes_is_refused_before_it_is_sent(dashboard):
    head = f"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**9}\r\n"
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=30) as client:
        client.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        answer = b""
        while part := client.recv(10_000):  # until the server closes
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 64 kB" in answer


def test_an_endless_body_is_cut_off(dashboard):
    before = dashboard.pss_mib()
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    head = b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", dashboard.port), timeout=30) as client:
        client.sendall(head)
        with pytest.raises(ConnectionError):
            client.sendall(chunk * 1600)
    assert dashboard.pss_mib() - before < 4
    assert dashboard.answers()


def test_a_body_that_is_no_json_object_is_refused(dashboard):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for body in (b"{", b"[]", b'"x"', b"\xff"):
        answer = dashboard.request("POST", "/api/scans", body, **headers)
        assert answer.status == 400
        assert "JSON" in answer.error


def test_headers_that_are_too_large_are_not_read(dashboard):
    with contextlib.suppress(OSError):
        assert dashboard.get("/healthz", X=("x" * 100_000)).status in {400, 431}
    assert dashboard.answers()


def test_one_address_may_not_ask_for_everything_at_once(own):
    dashboard = own(requests_per_second=1)
    answers = [dashboard.get("/healthz") for _ in range(12)]
    refused = [answer for answer in answers if answer.status == 429]
    assert answers[0].status == 200
    assert refused
    assert int(refused[0].headers["Retry-After"]) >= 1
    lab.wait_for(lambda: dashboard.get("/healthz").status == 200, 10, "a free place")


# ---- changes


def test_a_scan_is_started_seen_and_cancelled(music, dashboard, worker, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    answer = dashboard.write("POST", "/api/scans", {"folder": str(folder)})
    assert answer.status == 202
    scan = answer.json["id"]
    assert lab.ended(scan).status == "completed"
    assert dashboard.get(f"/api/scans/{scan}").json["status"] == "completed"
    newest = dashboard.get("/api/scans?limit=1").json
    assert [one["id"] for one in newest] == [scan]
    answer = dashboard.write("DELETE", f"/api/scans/{scan}")
    assert (answer.status, answer.error) == (404, f"scan {scan} is not running")


def test_a_running_scan_is_shown_and_can_be_cancelled(music, dashboard):
    from backend_worker.storage import scans

    scan = scans.begin(b"/nowhere/else", "a-test-that-walks-nothing")
    try:
        lab.wait_for(lambda: dashboard.get("/api/status").json["scan"], 5, "the running scan")
        running = dashboard.get("/api/status").json["scan"]
        assert (running["scan"], running["status"], running["rate"]) == (scan, "running", 0)
        busy = dashboard.write("POST", "/api/scans", {"folder": "/nowhere"})
        assert busy.status == 400  # not a folder
        answer = dashboard.write("DELETE", f"/api/scans/{scan}")
        assert (answer.status, answer.json) == (202, {"cancelled": [scan]})
        assert lab.ended(scan).status == "cancelled"
    finally:
        scans.abandon(scan, "the test has ended")


@pytest.mark.parametrize(
    ("folder", "sentence"),
    [
        ("relative", "absolute path"),
        ("/etc\0", "absolute path"),
        (17, "absolute path"),
        ("/x\ud800", "no valid text"),
        ("/does/not/exist", "/does/not/exist is not a folder"),
        ("--help", "absolute path"),
    ],
)
def test_folders_that_cannot_be_scanned(dashboard, folder, sentence):
    answer = dashboard.write("POST", "/api/scans", {"folder": folder})
    assert answer.status == 400
    assert sentence in answer.error


def test_only_the_library_can_be_scanned_from_the_page(own, music, monkeypatch):
    monkeypatch.setenv("BACKEND_WORKER_MUSIC_DIR", str(music))
    dashboard = own()
    for folder in ("/etc", f"{music}/../", f"{music}-other"):
        answer = dashboard.write("POST", "/api/scans", {"folder": folder})
        assert answer.status == 400
        assert "only" in answer.error
    answer = dashboard.write("POST", "/api/scans")
    assert answer.status == 202
    assert lab.ended(answer.json["id"]).root == str(music)


def test_failures_are_read_again(music, dashboard, worker):
    before = dashboard.get("/api/failures").json["failures"]
    assert before
    answer = dashboard.write("POST", "/api/failures/retry")
    assert answer.status == 202
    lab.wait_for(
        lambda: (
            dashboard.get("/api/failures").json["failures"][0]["read_at"] > before[0]["read_at"]
        ),
        what="failures that were read again",
    )
    lab.settle()


# ---- events


def test_a_listener_is_greeted_and_sees_a_scan(music, dashboard, worker, tmp_path):
    make_library(str(tmp_path / "more"), tracks=8)
    with dashboard.listen() as listener:
        status, headers = listener.head()
        assert status == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["cache-control"] == "no-store"
        kind, hello, text = listener.block()
        assert kind == "hello"
        assert hello["away"] == {}
        assert hello["missed"] is False
        assert text.startswith("retry: 2000\n")
        scan = start_scan(str(tmp_path / "more"))
        seen = {}
        # in any order: boards come every two seconds, vectors when they are made
        while not {"scan.completed", "board", "vectors.stored"} <= set(seen):
            kind, data, _ = listener.block()
            seen[kind] = data
        wanted = ["scan.started", "batch.stored", "scan.completed"]
        assert [kind for kind in seen if kind in wanted] == wanted
        completed = seen["scan.completed"]
        assert completed["scan"] == scan
        assert seen["file.failed"]["count"] == completed["failed"] >= 1
        assert all(file["path"] and file["reason"] for file in seen["file.failed"]["files"])
        assert seen["board"]["processes"] >= 1
        assert seen["vectors.stored"].get("tracks") or seen["vectors.stored"]["artists"]
    lab.settle()


def test_progress_is_told_every_second_while_a_scan_runs(music, dashboard):
    from backend_worker.storage import scans

    scan = scans.begin(b"/nowhere/progress", "another-that-walks-nothing")
    try:
        with dashboard.listen(f"?scan={scan}") as listener:
            listener.head()
            began = time.monotonic()
            first, second = listener.events({"scan.progress"}, 2)
            assert time.monotonic() - began < 4
        for progress in (first, second):
            assert progress["scan"] == scan
            assert {
                "found",
                "stored",
                "failed",
                "waiting",
                "rate",
                "seconds_left",
                "folder",
            } <= set(progress)
    finally:
        scans.abandon(scan, "the test has ended")


def test_a_filter_shows_one_scan_only(dashboard):
    with dashboard.listen("?scan=4242") as listener:
        listener.head()
        publish(scan=1, n=1)
        publish(n=2)
        publish(scan=4242, n=3)
        assert listener.events({"test.event", "board"}, 1)[0]["n"] == 3


def test_listening_goes_on_where_it_was_over_a_restart_of_the_server(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        listener.block()
        for n in range(5):
            publish(n=n)
        assert [e["n"] for e in listener.events({"test.event"}, 3)] == [0, 1, 2]
        last_id = listener.last_id
        assert dashboard.stop() == 0
    for n in range(5, 9):
        publish(n=n)
    dashboard.start()
    with dashboard.listen(last_event_id=last_id) as listener:
        listener.head()
        _, hello, _ = listener.block()
        assert hello["missed"] is False
        publish(n=9)
        assert [e["n"] for e in listener.events({"test.event"}, 7)] == [3, 4, 5, 6, 7, 8, 9]


def test_many_missed_events_come_in_order_and_each_once(dashboard):
    publish(n=-1)
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"hello"}, 1)
        publish(n=0)
        listener.events({"test.event"}, 1)
        last_id = listener.last_id
    for n in range(1, 901):  # more than the reader keeps, and more than a page
        publish(n=n)
    with dashboard.listen(last_event_id=last_id) as listener:
        listener.head()
        assert [e["n"] for e in listener.events({"test.event"}, 900)] == list(range(1, 901))


def test_the_newest_events_can_be_had_at_once(dashboard):
    for n in range(5):
        publish(n=n)
    with dashboard.listen("?last=3") as listener:
        listener.head()
        assert [e["n"] for e in listener.events({"test.event"}, 3)] == [2, 3, 4]


def test_a_client_learns_that_events_are_lost_for_good(dashboard):
    publish()
    with dashboard.listen(last_event_id="1-1") as listener:
        listener.head()
        [hello] = listener.events({"hello"}, 1)
        assert hello["missed"] is True


def test_events_of_others_do_not_harm(dashboard):
    from backend_worker.config import get_config
    from backend_worker.progress.connection import redis_client

    with dashboard.listen() as listener:
        listener.head()
        listener.block()
        redis_client().xadd(get_config().progress_stream, {"what": "ever"})
        redis_client().xadd(
            get_config().progress_stream,
            {
                "kind": "a\ndata: b",
                "time": "1",
                "details": json.dumps({"x": "line\n\nbreak \udcff"}),
            },
        )
        publish(n="last")
        kind, data, _ = listener.block()
        while kind == "board":
            kind, data, _ = listener.block()
        assert (kind, data["x"][:12]) == ("a_data__b", "line\n\nbreak ")
        assert listener.events({"test.event"}, 1)[0]["n"] == "last"


def test_a_slow_client_holds_up_nobody_and_loses_nothing(own):
    dashboard = own()
    padding = "x" * 5000
    with dashboard.listen() as quick:
        quick.head()
        quick.events({"hello"}, 1)
        for n in range(500):  # what it keeps for all, and what it needs once
            publish(n=n, padding=padding)
        quick.events({"test.event"}, 500)
        with dashboard.listen(receive_buffer=4096) as slow:
            slow.head()
            slow.events({"hello"}, 1)
            before = dashboard.pss_mib()
            for n in range(1500):  # 7 MB, and the slow one takes nothing
                publish(n=n, padding=padding)
            got = [e["n"] for e in quick.events({"test.event"}, 1500)]
            assert got == list(range(1500))
            assert dashboard.get("/healthz").status == 200
            assert dashboard.pss_mib() - before < 6
            assert [e["n"] for e in slow.events({"test.event"}, 1500)] == list(range(1500))


def test_vanished_clients_leave_nothing_behind(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        listener.events({"board"}, 2)  # it has all its connections to the servers now
        steady = dashboard.descriptors()
        for _ in range(30):
            with dashboard.listen() as gone:
                gone.head()
        lab.wait_for(lambda: dashboard.descriptors() <= steady, 5, "closed connections")


def test_nobody_reads_the_stream_while_nobody_listens(own):
    from backend_worker.progress.connection import redis_client

    def readers():
        return [c for c in redis_client().client_list() if c["cmd"] == "xread"]

    dashboard = own()
    before = len(readers())
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(dashboard.listen()).head()
        lab.wait_for(lambda: len(readers()) == before + 1, 5, "one reader for all")
    lab.wait_for(lambda: len(readers()) == before, 5, "no reader for none")


def test_the_number_of_listeners_is_limited(own):
    dashboard = own()
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_LISTENERS_OF_ADDRESS):
            status, _ = stack.enter_context(dashboard.listen()).head()
            assert status == 200
        answer = dashboard.get("/api/events")
        assert answer.status == 429
        assert "listen already" in answer.error

    def is_let_in():
        with dashboard.listen() as listener:
            return listener.head()[0] == 200

    lab.wait_for(is_let_in, 5, "a free place")
    assert MOST_LISTENERS > MOST_LISTENERS_OF_ADDRESS


@pytest.mark.slow
def test_silence_is_broken_by_heartbeats(own):
    dashboard = own()
    with dashboard.listen("?scan=999999") as listener:
        listener.head()
        listener.block()
        began = time.monotonic()
        kind, _, text = listener.block()
        assert (kind, text) == (None, ": still here")
        assert 10 < time.monotonic() - began < 20


# ---- its life


def with_passed_socket(dashboard, listening):
    """Start a dashboard as systemd does: its socket is descriptor 3."""

    script = (
        f"import os, sys; os.dup2({listening.fileno()}, 3);"
        "os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, [sys.executable, '-m', 'backend_worker', 'dashboard'])"
    )
    with dashboard.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            env=dashboard.environment | {"LISTEN_FDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[listening.fileno()],
        )


def test_systemd_can_pass_the_socket_and_it_ends_when_nobody_looks(tmp_path, servers):
    port = free_port()
    # the address of the settings is another one: nothing must listen there
    dashboard = Dashboard(tmp_path, port=port, listen=f"127.0.0.1:{free_port()}", idle_seconds=1)
    with socket.create_server(("127.0.0.1", port)) as listening:
        # a browser that came before the server was there
        early = socket.create_connection(("127.0.0.1", port))
        early.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        dashboard.process = with_passed_socket(dashboard, listening)
        early.settimeout(20)
        assert early.recv(1000).startswith(b"HTTP/1.1 200 OK")
        early.close()
        with dashboard.listen() as listener:
            listener.head()
            time.sleep(2.5)
            assert dashboard.process.poll() is None  # somebody looks
        assert dashboard.process.wait(10) == 0
        assert "nobody has looked" in dashboard.log.read_text()
        # and systemd's socket takes the next one
        late = socket.create_connection(("127.0.0.1", port))
        late.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        dashboard.process = with_passed_socket(dashboard, listening)
        late.settimeout(20)
        assert late.recv(1000).startswith(b"HTTP/1.1 200 OK")
        late.close()
        assert dashboard.stop() == 0


def test_an_address_in_use_gets_a_sentence(dashboard, tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "backend_worker",
            "dashboard",
            "--listen",
            f"127.0.0.1:{dashboard.port}",
        ],
        env=dashboard.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode != 0
    assert f"cannot listen on 127.0.0.1:{dashboard.port}" in result.stderr
    assert "Traceback" not in result.stderr


def test_stopping_with_listeners_is_quick_and_quiet(own):
    dashboard = own()
    with dashboard.listen() as listener:
        listener.head()
        began = time.monotonic()
        assert dashboard.stop() == 0
        assert time.monotonic() - began < 3
    assert "ERROR" not in dashboard.log.read_text()
    assert "Traceback" not in dashboard.log.read_text()


@pytest.mark.slow
def test_it_is_small_however_many_look(own, music):
    dashboard = own()
    known = ids(dashboard)
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_LISTENERS_OF_ADDRESS):
            stack.enter_context(dashboard.listen()).head()
        for _ in range(20):
            for path in (
                "/api/status",
                "/metrics",
                "/api/albums",
                "/api/search?q=a",
                f"/api/covers/{known['albums']}?size=full",
                "/api/openapi.json",
            ):
                dashboard.get(path)
        pss = dashboard.pss_mib()
    assert pss <= 45, f"{pss:.1f} MiB"


# ---- what is beside it


def test_flower_is_linked_only_while_it_runs_and_only_where_it_can_be_reached(own, tmp_path):
    with running_flower(tmp_path) as url:
        dashboard = own(flower_url=url)
        assert dashboard.get("/api/status").json["flower_url"] == url
        # Flower on loopback is of no use to a phone
        phone = dashboard.get("/api/status", Host="192.168.1.20:8337")
        assert phone.json["flower_url"] is None
    dashboard.stop()
    dashboard.start()  # the answer is remembered for half a minute
    assert dashboard.get("/api/status").json["flower_url"] is None


def test_every_figure_of_the_grafana_dashboard_is_told(music, dashboard):
    shown = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in shown["panels"]
        for target in panel["targets"]
        for name in re.findall(r"backend_worker_\w+", target["expr"])
    }
    assert len(asked) > 15
    # a figure without a value now (no scan runs, no thermometer) is in the program's own text
    told = dashboard.get("/metrics").body.decode()
    program = (ROOT / "backend_worker" / "cli" / "prometheus.py").read_text(encoding="utf-8")
    for name in asked:
        own = name.removeprefix("backend_worker_")
        assert f"\n{name}" in told or f'"{own}"' in program, name
