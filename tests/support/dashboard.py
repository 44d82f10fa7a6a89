"""A dashboard in a process of its own, and clients of it: plain HTTP, and listeners."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

from backend_worker.embedded import end_with_parent
from tests.support.waiting import WAIT_SECONDS, wait_for

TOKEN = "a-token-for-tests-0123456789"


class Dashboard:
    """One running dashboard.

    Args:
        folder: for the token and the log.
        port: where it listens.
        settings: further settings by their names, without ``dashboard_``.
    """

    def __init__(self, folder, port=None, **settings):
        self.folder = folder
        self.port = port or free_port()
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN + "\n")
        self.log = folder / "dashboard.log"
        settings = {"listen": f"127.0.0.1:{self.port}", "token_file": self.token_file} | settings
        self.environment = {
            **os.environ,
            **{f"BACKEND_WORKER_DASHBOARD_{k.upper()}": str(v) for k, v in settings.items()},
        }
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "backend_worker", "dashboard"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - tests have no threads
            )
        try:
            wait_for(self.answers, what=f"a dashboard ({self.log.read_text()})")
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    def stop(self, number=signal.SIGTERM):
        """Stop it and return its exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(WAIT_SECONDS)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def answers(self):
        """Say whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def get(self, path, **headers):
        """Ask for a path."""
        return self.request("GET", path, **headers)

    def write(self, method, path, body=None, token=TOKEN, **headers):
        """Ask for a change, with the token."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.request(method, path, body, **headers)

    def request(self, method, path, body=None, **headers):
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, names)
            answer = connection.getresponse()
            return Answer(answer, answer.read())
        finally:
            connection.close()

    def listen(self, query="", last_event_id=None, **options):
        """Listen to events."""
        return Listener(self.port, query, last_event_id, **options)

    def descriptors(self):
        """Count what the process has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def pss_mib(self):
        """Return its memory in MiB, shared pages counted in part."""
        return self._memory_mib("Pss")

    def own_mib(self):
        """Return its own memory in MiB: it does not grow because another program ends."""
        return self._memory_mib("Anonymous")

    def _memory_mib(self, name):
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as file:
            return int(re.search(rf"^{name}:\s+(\d+)", file.read(), re.MULTILINE)[1]) / 1024


class Answer:
    """What was answered."""

    def __init__(self, answer, body):
        self.status = answer.status
        self.headers = answer.headers
        self.body = body

    @property
    def json(self):
        """The body as data; strictly UTF-8."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body.decode("utf-8"))

    @property
    def error(self):
        """The sentence of a refusal."""
        return self.json["error"]


class Listener:
    """A client of ``/api/events`` that reads when it is told to."""

    def __init__(self, port, query="", last_event_id=None, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT_SECONDS)
        self.socket.connect(("127.0.0.1", port))
        # HTTP/1.0: what comes is the stream itself, not in chunks
        lines = [f"GET /api/events{query} HTTP/1.0", f"Host: localhost:{port}"]
        if last_event_id:
            lines.append(f"Last-Event-ID: {last_event_id}")
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._buffer = b""
        self.last_id = last_event_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def head(self):
        """Return status and headers."""
        head = self._until(b"\r\n\r\n").decode()
        status, _, rest = head.partition("\r\n")
        headers = dict(line.split(": ", 1) for line in rest.split("\r\n") if line)
        return int(status.split()[1]), {name.lower(): value for name, value in headers.items()}

    def block(self):
        """Return the next block of the stream as (event, data, text); comments have no event."""
        text = self._until(b"\n\n").decode("utf-8")
        fields = dict(line.split(": ", 1) for line in text.splitlines() if line[:1] != ":")
        self.last_id = fields.get("id", self.last_id)
        data = json.loads(fields["data"]) if "data" in fields else None
        return fields.get("event"), data, text

    def events(self, kinds, count, seconds=WAIT_SECONDS):
        """Return the data of so many events of these kinds; others are passed over."""
        found = []
        deadline = time.monotonic() + seconds
        while len(found) < count:
            assert time.monotonic() < deadline, f"only {found} within {seconds} s"
            kind, data, _ = self.block()
            if kind in kinds:
                found.append(data)
        return found

    def _until(self, end):
        while end not in self._buffer:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError(self._buffer)
            self._buffer += part
        found, _, self._buffer = self._buffer.partition(end)
        return found


def free_port():
    """Return a port that nothing listens on."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def publish(kind="test.event", scan=None, **details):
    """Publish an event, as the worker does."""
    from backend_worker.progress import events

    events.publish(kind, scan, **details)


def publish_all(numbers, **details):
    """Publish an event with each number, all at once."""
    from backend_worker.progress import events

    events.publish_all([("test.event", {"n": n, **details}) for n in numbers])


def ids(dashboard):
    """Return an id of each sort that is there."""
    [album] = [a for a in dashboard.get("/api/albums?limit=200").json["albums"] if a["cover"]][:1]
    track = dashboard.get(f"/api/albums/{album['id']}").json["tracks"][0]["id"]
    artist = dashboard.get("/api/artists?limit=1").json["artists"][0]["id"]
    return {"albums": album["id"], "tracks": track, "artists": artist, "scans": 1}
