"""The page behind nginx and Caddy, with the settings that docs/proxy.md gives."""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess

import pytest

from backend_worker.library.sample import make_library
from tests.support import lab
from tests.support.dashboard import TOKEN, Answer, free_port
from tests.support.nap_worker import ROOT

NAME = "music.example.org"
EVIL = "evil.example"
DOCUMENT = (ROOT / "docs" / "proxy.md").read_text(encoding="utf-8")
NGINX, NGINX_BELOW = re.findall(r"^```nginx\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
CADDY, CADDY_BELOW = re.findall(r"^```caddyfile\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
HOST_LINE = "proxy_set_header Host $http_host;"


def replaced(text, **words):
    """Put the test's own words into the settings; each must be there."""
    for old, new in words.items():
        assert old in text
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy before a dashboard, and a client that asks it with TLS.

    Args:
        command: that runs it in the foreground.
        folder: where it works.
        port: where it listens.
        prefix: the path that the page is below.
    """

    def __init__(self, command, folder, port, prefix=""):
        self.port = port
        self.prefix = prefix
        self.origin = f"https://{NAME}:{port}"
        self.log = folder / "log"
        environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        lab.wait_for(self._answers, 60, f"{command[0]} ({self.log})")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.get("/").status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def connect(self, name=NAME):
        """Return a connection with TLS; no resolver knows the name."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # a certificate of the test's own
        connection = http.client.HTTPConnection(name, self.port, timeout=60)
        plain = socket.create_connection(("127.0.0.1", self.port), 60)
        connection.sock = context.wrap_socket(plain, server_hostname=NAME)
        return connection

    def get(self, path, name=NAME, **headers):
        return self.request("GET", path, None, name, **headers)

    def write(self, method, path, body=None, origin=None, **headers):
        """Ask for a change, as the page does."""
        headers = {
            "Origin": origin or self.origin,
            "Authorization": f"Bearer {TOKEN}",
            "Sec-Fetch-Site": "same-origin",
        } | headers
        return self.request(method, path, body, **headers)

    def request(self, method, path, body=None, name=NAME, **headers):
        connection = self.connect(name)
        try:
            body = None if body is None else json.dumps(body)
            connection.request(method, self.prefix + path, body, headers)
            answer = connection.getresponse()
            return Answer(answer, answer.read())
        finally:
            connection.close()


@pytest.fixture
def start_proxy(tmp_path):
    running = []

    def start(command, port, prefix=""):
        running.append(Proxy(command, tmp_path, port, prefix))
        return running[-1]

    yield start
    for proxy in running:
        proxy.stop()


@pytest.fixture
def start_nginx(tmp_path, start_proxy):
    """Starts nginx with a server of the document, or one made of it."""
    program = shutil.which("nginx", path="/usr/sbin:" + os.environ["PATH"])
    if program is None:
        pytest.skip("no nginx: apt install nginx-light")

    def start(dashboard, server, prefix=""):
        port = free_port()
        key, certificate = tmp_path / "key", tmp_path / "certificate"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:P-256", "-subj", f"/CN={NAME}"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        server = replaced(
            server,
            **{
                "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
                f"/etc/ssl/certs/{NAME}.pem": str(certificate),
                f"/etc/ssl/private/{NAME}.key": str(key),
                "127.0.0.1:8337": f"127.0.0.1:{dashboard.port}",
            },
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
        settings = tmp_path / "nginx.conf"
        settings.write_text(
            f"{'user root;' if os.getuid() == 0 else ''}\n"
            f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
            f"http {{ access_log off;\n{folders}{server}}}\n"
        )
        return start_proxy([program, "-c", str(settings), "-p", str(tmp_path)], port, prefix)

    return start


@pytest.fixture
def start_caddy(tmp_path, start_proxy):
    """Starts Caddy with a site of the document."""
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("no Caddy: apt install caddy")

    def start(dashboard, site, prefix=""):
        port = free_port()
        words = {f"{NAME} {{": f"https://{NAME}:{port} {{"}
        words["127.0.0.1:8337"] = f"127.0.0.1:{dashboard.port}"
        options = "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n"
        settings = tmp_path / "Caddyfile"
        settings.write_text(options + replaced(site, **words))
        command = [program, "run", "--config", str(settings), "--adapter", "caddyfile"]
        return start_proxy(command, port, prefix)

    return start


@pytest.fixture(params=["nginx", "nginx below a path", "caddy", "caddy below a path"])
def proxy(request, own):
    """The document's examples, each before a dashboard that knows the name."""
    kind, _, below = request.param.partition(" ")
    start = request.getfixturevalue(f"start_{kind}")
    dashboard = own(allowed_hosts=NAME)
    if kind == "nginx":
        whole = re.search(r"    location / \{.*?^    \}\n", NGINX, re.MULTILINE | re.DOTALL)[0]
        settings = NGINX.replace(whole, NGINX_BELOW) if below else NGINX
    else:
        whole = "\treverse_proxy 127.0.0.1:8337\n"
        settings = replaced(CADDY, **{whole: CADDY_BELOW}) if below else CADDY
    return start(dashboard, settings, "/music" if below else "")


def test_the_page_events_and_changes_pass(proxy, worker, tmp_path):
    page = proxy.get("/")
    assert "<title>Music library</title>" in page.body.decode()
    for address in re.findall(r'(?:src|href)="([\w./-]+)"', page.body.decode()):
        assert proxy.get(f"/{address}").status == 200, address
    assert proxy.get("/api/status").status == 200

    make_library(str(tmp_path / "music"), tracks=3)
    listener = proxy.connect()
    listener.request("GET", f"{proxy.prefix}/api/events")
    events = listener.getresponse()
    assert events.headers["Content-Type"].startswith("text/event-stream")
    until(events, "hello")  # while nothing else has happened: nobody collects them
    folder = {"folder": str(tmp_path / "music")}
    assert proxy.write("POST", "/api/scans", folder, Authorization="Bearer wrong").status == 401
    started = proxy.write("POST", "/api/scans", folder)
    assert started.status in {200, 201, 202}, started.body
    until(events, "scan.completed")
    listener.close()
    lab.settle()
    assert proxy.write("DELETE", "/api/scans/999999").error == "there is no scan 999999"


def until(events, kind):
    """Read until an event of this kind; the connection's time limit ends it otherwise."""
    while (line := events.readline().decode().strip()) != f"event: {kind}":
        assert line is not None


def test_other_names_and_other_sites_are_refused_behind_it(proxy):
    for name in (EVIL, f"{NAME}.{EVIL}"):
        # nginx passes them on; Caddy answers them itself, with nothing
        answer = proxy.get("/api/status", name=name)
        assert answer.status == 403 or not answer.body
    for origin in (f"https://{EVIL}", f"https://{NAME}.{EVIL}:{proxy.port}", "null"):
        answer = proxy.write("DELETE", "/api/scans/999999", origin=origin)
        assert (answer.status, "another site" in answer.error) == (403, True)
    answer = proxy.write("DELETE", "/api/scans/999999", **{"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403


@pytest.mark.parametrize("host", ["", "proxy_set_header Host $host;"])
def test_a_host_that_the_proxy_changed_does_not_stop_changes(own, start_nginx, host):
    server = replaced(NGINX, **{HOST_LINE: host})
    proxy = start_nginx(own(allowed_hosts=NAME), server)
    assert proxy.write("DELETE", "/api/scans/999999").error == "there is no scan 999999"
    answer = proxy.write("DELETE", "/api/scans/999999", origin=f"https://{EVIL}")
    assert (answer.status, "another site" in answer.error) == (403, True)


def test_a_name_that_is_not_known_says_which_setting_makes_it_so(own, start_nginx):
    server = replaced(NGINX, **{HOST_LINE: ""})
    answer = start_nginx(own(), server).write("DELETE", "/api/scans/999999")
    assert answer.status == 403
    assert NAME in answer.error
    assert "BACKEND_WORKER_DASHBOARD_ALLOWED_HOSTS" in answer.error


def test_the_name_that_a_proxy_was_asked_for_must_be_ours(own, start_nginx):
    line = "proxy_set_header X-Forwarded-Host $http_host;"
    proxy = start_nginx(own(allowed_hosts=NAME), replaced(NGINX, **{HOST_LINE: line}))
    assert proxy.get("/api/scans").status == 200
    answer = proxy.get("/api/scans", name=EVIL)
    assert (answer.status, f"{EVIL} is not a name" in answer.error) == (403, True)


def test_clients_of_a_proxy_are_counted_one_by_one(own, start_nginx):
    dashboard = own(allowed_hosts=NAME, requests_per_second=1)
    proxy = start_nginx(dashboard, NGINX)
    # what a client writes into the header itself does not make it another one
    answers = (
        proxy.get("/api/scans", **{"X-Forwarded-For": f"192.0.2.{number}"}).status
        for number in range(200)
    )
    assert 429 in answers
    # those of another client of the proxy do not
    assert dashboard.get("/api/scans", X_Forwarded_For="192.0.2.1").status == 200
