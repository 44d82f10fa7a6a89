"""Pictures, files of the page, headers of every answer, and the link to Flower."""

import pytest

from tests.support import lab
from tests.support.dashboard import ids
from tests.support.flower import running_flower


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


def test_the_page_and_its_files_are_there(dashboard):
    answer = dashboard.get("/")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    assert dashboard.get("/index.html", If_None_Match=answer.headers["Etag"]).status == 304
    for path in ("/../server.py", "/%2e%2e/server.py", "/..%2fserver.py", "//etc/passwd"):
        assert dashboard.get(path).status in {403, 404}, path


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


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_other_methods_are_refused(dashboard, method):
    assert dashboard.request(method, "/api/scans").status in {401, 405}


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
