"""A server on loopback that speaks the protocols of the Cover Art Archive and MusicBrainz.

Like the real archive it redirects (307) to another host, which redirects (302) to the one
that holds the picture: three servers on three ports here.
"""

import json
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Answer:
    """What is answered instead of the usual; ``delay`` in seconds before the headers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str | None = "image/jpeg"
    claimed_length: int | None = None
    delay: float = 0.0
    drip: float = 0.0  # seconds between bytes of the body
    reset: bool = False  # hang up without any answer
    hang_up_after: bool = False  # close the connection without having said so


class CoverArchive:
    """The three servers; ``requests`` are those to the archive itself, as they came."""

    def __init__(self):
        self.pictures = {}  # "release/<mbid>" -> bytes
        self.answers = {}  # "release/<mbid>" -> Answer or a list of Answers, one per request
        self.mirror_answers = {}  # the same of the host that holds the pictures
        self.releases = []  # what a search of MusicBrainz finds
        self.search_answer = None
        self.requests = []
        self._stop = threading.Event()
        roles = (self._archive, self._catalogue, self._mirror)
        self._servers = [_Server(role, self._stop) for role in roles]

    @property
    def url(self):
        """Base address of the archive, and of MusicBrainz with ``/ws/2`` appended."""
        return self._servers[0].url

    @property
    def mirror_url(self):
        """Address of the host that holds the pictures."""
        return self._servers[2].url

    @property
    def paths(self):
        """The paths that were asked of the archive."""
        return [path for path, _, _ in self.requests]

    def close(self):
        """Stop the servers; the ports refuse connections then."""
        self._stop.set()
        for server in self._servers:
            server.close()

    def _archive(self, path, headers):
        self.requests.append((path, headers, time.monotonic()))
        parts = urlsplit(path)
        if parts.path == "/ws/2/release":
            return self.search_answer or self._search(parse_qs(parts.query))
        key = parts.path.strip("/").removesuffix("/front-500")
        if key in self.answers:
            return _next(self.answers, key)
        if key not in self.pictures and key not in self.mirror_answers:
            return Answer(404, content_type="text/html", body=b"<h1>Not Found</h1>")
        return _redirect(307, f"{self._servers[1].url}/download/{key}")

    def _catalogue(self, path, _):
        return _redirect(302, path.replace("/download", f"{self.mirror_url}/items"))

    def _mirror(self, path, _):
        key = path.removeprefix("/items/")
        if key in self.mirror_answers:
            return _next(self.mirror_answers, key)
        return Answer(body=self.pictures[key])

    def _search(self, query):
        assert query["fmt"] == ["json"]
        body = json.dumps({"count": len(self.releases), "releases": self.releases})
        return Answer(body=body.encode(), content_type="application/json; charset=utf-8")


@contextmanager
def cover_archive():
    """Yield a running archive."""
    archive = CoverArchive()
    try:
        yield archive
    finally:
        archive.close()


def _next(answers, key):
    answer = answers[key]
    if isinstance(answer, list):
        return answer.pop(0) if len(answer) > 1 else answer[0]
    return answer


def _redirect(status, location):
    return Answer(status, {"Location": location}, content_type="text/html", body=b"see there")


class _Server:
    def __init__(self, answer, stop):
        handler = type("Handler", (_Handler,), {"answer": staticmethod(answer), "stop": stop})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self._http.block_on_close = False
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self):
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = self.answer(self.path, dict(self.headers))
        self.stop.wait(answer.delay)
        broken = answer.reset or answer.drip or answer.claimed_length is not None
        self.close_connection = broken or answer.hang_up_after
        if answer.reset:
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            self._send(answer)

    def _send(self, answer):
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.content_type:
            self.send_header("Content-Type", answer.content_type)
        length = answer.claimed_length if answer.claimed_length is not None else len(answer.body)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if not answer.drip:
            self.wfile.write(answer.body)
            return
        for number in range(len(answer.body)):
            self.wfile.write(answer.body[number : number + 1])
            self.stop.wait(answer.drip)

    def log_message(self, *_):
        pass
