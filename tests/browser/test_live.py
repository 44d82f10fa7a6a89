"""A real scan by a real worker, as a real EventSource brings it to the page."""

import contextlib
import os
import re
import signal
import time

import httpx
import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.progress import events
from backend_worker.storage import scans, search
from backend_worker.storage.insert import INSERT_LOCK
from tests.browser.conftest import TOKEN
from tests.support import lab

pytestmark = pytest.mark.slow
COPIES = 60  # of the library: a scan that takes some seconds
FIGURE = re.compile(r"[\d,]+")
RATE_AND_TIME_LEFT = re.compile(
    r"[\d,]+ of [\d,]+ files · [1-9][\d,]* files a second · .*\d.* left"
)

# but for those that wait for the turn to store
OTHERS_IN_TRANSACTIONS = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
    " AND wait_event IS DISTINCT FROM 'advisory'"
)

# Announcements are what a screen reader speaks: they are counted, and all must be few.
LISTEN = """
window.spoken = [];
for (const id of ['announcer', 'toasts', 'banner']) {
  new MutationObserver(() => {
    const text = document.getElementById(id).textContent;
    if (text && !document.getElementById(id).hidden) window.spoken.push(text);
  }).observe(document.getElementById(id), {childList: true, subtree: true, characterData: true});
}
window.shares = [];
window.sentences = [];
new MutationObserver(() => {
  const bar = document.querySelector('[role=progressbar]');
  const now = bar?.getAttribute('aria-valuenow');
  if (now) window.shares.push(Number(now));
  if (bar) window.sentences.push(bar.getAttribute('aria-valuetext'));
}).observe(document.querySelector('.scan'), {childList: true, subtree: true, attributes: true});
"""


@pytest.fixture
def library(servers, worker):
    """An empty database."""
    lab.settle()
    lab.empty()
    yield
    lab.settle()


@pytest.fixture
def large_folder(library, music, tmp_path):
    """A large folder below the library's."""
    large = music / f"Large {tmp_path.name}"
    for number in range(COPIES):
        link_tree(music, large / str(number))
    yield large
    lab.settle()
    # a folder of the library again as the other tests know it
    for folder, folders, files in os.walk(large, topdown=False):
        for name in files:
            os.unlink(os.path.join(folder, name))
        for name in folders:
            path = os.path.join(folder, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)
    os.rmdir(large)


def link_tree(source, target):
    """Link all files of the sample library into another folder."""
    for folder, folders, files in os.walk(os.fsencode(source)):
        folders[:] = [name for name in folders if not name.startswith(b"Large")]
        into = os.path.join(os.fsencode(target), os.path.relpath(folder, os.fsencode(source)))
        os.makedirs(into, exist_ok=True)
        for name in files:
            with contextlib.suppress(OSError):
                os.link(os.path.join(folder, name), os.path.join(into, name))


@contextlib.contextmanager
def held(worker):
    """Hold a worker with all its processes in the middle of a scan, but of no transaction.

    What it has locked there would keep everybody waiting. While it scans, one of its processes
    is always in one that stores: the turn to store is taken first.
    """

    def hold():
        os.killpg(worker.pid, signal.SIGSTOP)
        for _ in range(10):
            if not lab.rows(OTHERS_IN_TRANSACTIONS):
                return True
            time.sleep(0.02)
        os.killpg(worker.pid, signal.SIGCONT)
        return False

    lab.rows("SELECT pg_advisory_lock(%s)", INSERT_LOCK)
    try:
        lab.wait_for(hold, what="a worker outside of transactions")
        yield
    finally:
        os.killpg(worker.pid, signal.SIGCONT)
        lab.rows("SELECT pg_advisory_unlock(%s)", INSERT_LOCK)


def start_from_page(page, folder):
    """Start a scan as a person does."""
    page.expect("401")
    page.wait(lambda: page.find(".start summary"), "a way to start a scan")
    page.click(".start summary")
    page.find("#scan-folder").send_keys(str(folder))
    page.click(".start button")
    page.give_token(TOKEN)
    page.wait_text("#scan-title", "Scanning")


def wait_for_files(page):
    """Wait until the page shows that files were read, and the scan goes on."""
    page.wait(lambda: figure(page.text(".legend .stored dd")) > 0, "files that were read")


def figure(text):
    found = FIGURE.search(text)
    return int(found[0].replace(",", "")) if found else 0


def news(page):
    """Return how many files the page was told of, by kinds of events."""
    return page.js(
        "return Object.fromEntries([...document.querySelectorAll('.news li')]"
        ".map(item => [item.dataset.kind, Number(item.dataset.sum)]))"
    )


def test_scan_is_seen_from_its_start_to_its_end_across_a_restart_of_the_server(
    page, large_folder, worker, dashboard
):
    page.open()
    page.js(LISTEN)
    start_from_page(page, large_folder)
    wait_for_files(page)
    with held(worker):
        [running] = scans.active()
        assert page.text(".scan .path") == str(large_folder)
        assert page.text(".scan .folder").startswith(f"in {large_folder}")
        # the server goes in the middle of the scan, and says so
        page.expect("ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET")
        dashboard.stop()
        page.wait_text("#banner", r"Connection lost at \d.*trying again")
        assert page.text("#link-text") == "Connection lost"
        shown = figure(page.text(".legend .stored dd"))
    # what happens now is only in the stream
    lab.wait_for(lambda: scans.get(running.id).stored > shown, what="more files")
    dashboard.start()
    page.wait_text("#link-text", "Live")
    page.wait(lambda: not page.find("#banner").is_displayed(), "no banner")
    page.wait_text("#scan-title", "No scan is running")
    status = lab.ended(running.id)
    assert status.status == "completed"
    lab.settle()
    # nothing is missing and nothing came twice: the sums are those of the database
    page.wait(lambda: "scan.completed" in news(page), "the news of the end")
    assert news(page)["batch.stored"] == status.stored
    outcome = page.text(".scan .note")
    for count in (status.found, status.stored, status.failed):
        assert f"{count:,}" in outcome
    page.wait(
        lambda: f"{search.totals()['tracks']:,}" in page.text(".glance"), "the library's new size"
    )
    shares = page.js("return window.shares")
    assert shares == sorted(shares)
    sentences = page.js("return window.sentences")
    assert any(map(RATE_AND_TIME_LEFT.fullmatch, sentences)), sentences
    spoken = page.js("return window.spoken")
    assert len(spoken) <= 10, spoken
    assert any("The scan has ended." in text for text in spoken), spoken
    assert any("Connected again." in text for text in spoken), spoken


def test_scan_is_stopped_from_the_page(page, large_folder, worker):
    page.open()
    start_from_page(page, large_folder)
    wait_for_files(page)
    with held(worker):
        [running] = scans.active()
        page.click(".scan .card-head button")
        page.wait_text("#scan-title", "Stopping")
        assert scans.get(running.id).status == "cancelling"
        assert not page.find(".scan .card-head button").is_displayed()
    page.wait_text(".scan .hint", "was stopped")
    status = lab.ended(running.id)
    assert status.status == "cancelled"
    assert 0 < status.stored < status.found
    page.wait_text(".scans", "Stopped")
    assert page.focused(".scan *, .scan"), "the focus stays where the button was"


@pytest.mark.slow
def test_page_that_comes_later_sees_the_running_scan_and_what_happened(page, large_folder, worker):
    label = (
        "return document.querySelectorAll('.spark-plot')[arguments[0]].getAttribute('aria-label')"
    )
    points = "return document.querySelector('.spark-line').getAttribute('d').split(/[MLHV]/).length"
    running = start_scan(str(large_folder))
    lab.wait_for(lambda: scans.get(running).stored > 0, what="a stored batch")
    with held(worker):
        page.open()
        page.wait_text("#scan-title", "Scanning")
        page.wait(lambda: figure(page.text(".legend .stored dd")) > 0, "files that were read")
        page.wait_text(".news", f"Scan {running} of {large_folder} started")
        page.wait_text(".board .hint", "No worker answers")
    page.wait_text(".board .hint", "The worker has run for")
    page.wait(lambda: page.js(points) > 3, "a line")
    assert re.search(r"Processes: \d, between \d and [1-4] in the last", page.js(label, 0))
    assert re.search(r"Waiting tasks: \d+, between \d+ and \d+ in the last", page.js(label, 1))
    page.wait_text("#scan-title", "No scan is running")


def hurry(page, milliseconds, instead):
    """Let waiting for so long take less."""
    page.js(
        "const wait = window.setTimeout; window.setTimeout = (then, time, ...more) =>"
        " wait(then, time === arguments[0] ? arguments[1] : time, ...more)",
        milliseconds,
        instead,
    )


def hide(page, *, hidden):
    """Put the page into the background, or back."""
    page.js(
        "Object.defineProperty(document, 'hidden', {value: arguments[0], configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))",
        hidden,
    )


@pytest.mark.slow
def test_page_in_the_background_lets_the_server_go_to_sleep(page, library, worker):
    page.open()
    hurry(page, 60_000, 300)
    hide(page, hidden=True)
    page.wait_text("#link-text", "Paused")
    events.publish("scan.failed", 8, message="while nobody looked")
    time.sleep(1)
    assert "while nobody looked" not in page.text(".news")
    hide(page, hidden=False)
    page.wait_text("#link-text", "Live")
    page.wait_text(".news", "Scan 8 failed: while nobody looked")
    assert not page.find("#banner").is_displayed()


@pytest.mark.slow
def test_connection_that_died_silently_is_noticed(page, library, worker, dashboard):
    page.open()
    page.expect("Failed to load resource")
    hurry(page, 20_000, 4000)
    page.wait_text("#link-text", "Live")
    page.wait(lambda: page.js("return document.querySelector('.spark-value').innerText"), "news")
    time.sleep(2.5)  # the next sign of life begins the shorter wait
    with dashboard.silent():
        page.wait_text("#link-text", "Connection lost")
        page.wait_text("#banner", "trying again")
    page.wait_text("#link-text", "Live")


@pytest.mark.slow
def test_refused_listener_is_told_why_and_gets_in_later(page, library, worker, dashboard):
    page.expect("429")
    with contextlib.ExitStack() as others:
        for _ in range(5):
            stream = httpx.stream("GET", f"{dashboard.url}api/events", trust_env=False)
            others.enter_context(stream)
        page.open(live=False)
        page.wait_text("#banner", "No live news: .* listen already.* Trying again")
        page.wait(lambda: page.all(".glance dd"), "the rest of the page")
    page.wait_text("#link-text", "Live")
    page.wait(lambda: not page.find("#banner").is_displayed(), "no banner")


@pytest.mark.slow
def test_redis_that_is_away_is_said_and_comes_back(page, servers, library):
    page.expect("503")
    page.open()
    servers.redis.stop()
    try:
        page.wait_text("#banner", "Redis is not available")
        assert page.text("#link-text") == "Live", "the page itself is still connected"
    finally:
        servers.redis.start()
    page.wait(lambda: not page.find("#banner").is_displayed(), "no banner")
    events.publish("scan.failed", 7, message="only a test")
    page.wait_text(".news", "Scan 7 failed: only a test")
