"""A real browser, a real dashboard, a real worker and a library that it has scanned."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import httpx
import pytest

from backend_worker.cli.embedded import end_with_parent
from backend_worker.library.sample import make_library
from tests.support.fake_board import FakeBoard
from tests.support.waiting import WAIT_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
TOKEN = "a-token-that-only-these-tests-know"
TRACKS = 320
# A title that is dangerous wherever it is taken for HTML.
NASTY = '<img src="x" onerror="document.title=1"> & Co'


def pytest_collection_modifyitems(items):
    """Skip, visibly, what needs a browser where there is none."""
    if CHROMIUM and CHROMEDRIVER:
        return
    reason = "needs Chromium: sudo apt install chromium chromium-driver"
    for item in items:
        if "page" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="package")
def music(tmp_path_factory):
    """A made-up library, and one file whose tags are an attack."""
    from mutagen.easyid3 import EasyID3

    root = tmp_path_factory.mktemp("browser") / "music"
    make_library(str(root), tracks=TRACKS)
    source = next(path for path in sorted(root.rglob("*.mp3")) if path.stat().st_size > 2000)
    nasty = root / "Nasty" / "one.mp3"
    nasty.parent.mkdir()
    shutil.copy(source, nasty)
    tags = EasyID3()
    tags.update({"title": NASTY, "artist": NASTY, "album": NASTY})
    tags.save(nasty)
    os.utime(nasty, (0, 0))
    return root


@pytest.fixture(scope="package")
def board(tmp_path_factory):
    """The board that the worker sees: one with a thermometer."""
    fake = FakeBoard(tmp_path_factory.mktemp("board"))
    fake.temperature(48)
    return fake


@pytest.fixture(scope="package")
def worker(servers, board):
    """One worker for all tests of the page."""
    from tests.support import lab

    with lab.running_worker(servers, BACKEND_WORKER_SYSTEM_ROOT=board.root) as process:
        lab.wait_for(lab.worker_is_ready, what="a ready worker")
        yield process


@pytest.fixture(scope="module")
def scanned(servers, worker, music):
    """The library as it is after its scan, its covers and vectors made."""
    from tests.support import lab

    lab.empty()
    status = lab.scan(music)
    lab.settle()
    return status


class Dashboard:
    """The dashboard's process, which may be stopped and started again at the same address."""

    def __init__(self, folder, music, **settings):
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "{}:{}".format(*free.getsockname())
        self.url = f"http://{self.address}/"
        self._environment = {
            **os.environ,
            "BACKEND_WORKER_DASHBOARD_TOKEN_FILE": str(self.token_file),
            "BACKEND_WORKER_MUSIC_DIR": str(music),
            **settings,
        }
        self._log = folder / "dashboard.log"
        self._process = None

    def start(self):
        """Start it and wait until it answers."""
        from tests.support import lab

        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backend_worker", "dashboard", "--listen", self.address],
                env=self._environment,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(15),  # noqa: PLW1509 - one thread so far
            )
        lab.wait_for(self._answers, what="an answer of the dashboard")

    def stop(self):
        """Stop it."""
        self._process.terminate()
        assert self._process.wait(WAIT_SECONDS) == 0, self._log.read_text()

    @contextlib.contextmanager
    def silent(self):
        """Let it keep its connections and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self):
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"{self.url}healthz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="package")
def dashboard(servers, music, tmp_path_factory):
    """The dashboard."""
    server = Dashboard(tmp_path_factory.mktemp("dashboard"), music)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="package")
def driver():
    """Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    profile = tempfile.mkdtemp(prefix="bw-chromium-")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (
        "--headless",
        "--no-sandbox",  # the tests may run as root
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-proxy-server",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
    chromium.set_script_timeout(WAIT_SECONDS)
    yield chromium
    chromium.quit()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page(driver, dashboard):
    """A browser that was never here; at the end nothing may be on its console."""
    from tests.browser.page import Page

    opened = Page(driver, dashboard.url)
    yield opened
    opened.close()
