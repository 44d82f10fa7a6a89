"""What a real worker writes into the journal while things go wrong around it."""

import os
import re
import signal

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.embedded import EmbeddedServers
from backend_worker.library.sample import make_library
from backend_worker.progress import events
from backend_worker.progress.connection import redis_client
from backend_worker.storage import browse, scans
from tests.support.disturbance import children, kill
from tests.support.nap_worker import OUR_APP, Naps, nap_worker, restart
from tests.support.service_manager import service_manager
from tests.support.waiting import WAIT_SECONDS, wait_for

TRACKS = 1500  # so many that the scan goes on while its processes are killed
FOUND = TRACKS + 4
AS_THE_UNIT = {
    "JOURNAL_STREAM": "8:1234",
    "BACKEND_WORKER_SETTLE_SECONDS": 0,
    "BACKEND_WORKER_BATCH_SIZE": 10,
}

# What psycopg2 itself writes of a connection that is ended in the middle of a COPY.
CUT_OFF_COPY = re.compile(
    r"^psycopg2\.errors\.AdminShutdown: terminating connection due to administrator command\n"
    r"(CONTEXT:  COPY .*\n)?"
    r"\n+The above exception was the direct cause of the following exception:\n\n"
    r"SystemError: <function decode at \w+> returned a result with an exception set\n",
    re.MULTILINE,
)


@pytest.fixture
def music(tmp_path):
    make_library(str(tmp_path / "music"), tracks=TRACKS)
    return str(tmp_path / "music")


def ended(scan_id):
    """Wait for the end of a scan, while PostgreSQL may be away."""
    from backend_worker.storage.connection import RETRYABLE, DatabaseAwayError

    def has_ended():
        try:
            return not scans.get(scan_id).active
        except (*RETRYABLE, DatabaseAwayError):
            return False

    wait_for(has_ended, what="end of the scan")


@pytest.mark.slow
def test_what_is_to_be_expected_is_one_line_and_a_scan_one_for_each_phase(
    library, servers, music, worker_log, tmp_path
):
    with (
        service_manager(tmp_path) as manager,
        library.running_worker(servers, **AS_THE_UNIT, **manager.environment) as worker,
    ):
        manager.wait_for(READY="1")
        scan_id = start_scan(music)
        library.wait_for(lambda: scans.get(scan_id).stored >= 50)
        kill(*children(worker))  # some of them at work
        library.wait_for(lambda: "exited prematurely" in worker_log(), what="its line")
        restart(servers.redis, away=1.5)
        library.wait_for(library.worker_is_ready)
        restart(servers.postgres, away=1.5)
        redis_client().lpush("maintenance", _not_decodable())
        ended(scan_id)
        library.settle()
        manager.wait_for_status("idle")

        statuses = manager.statuses()
        assert any(re.search(r"queued · \d+ files/s · scan", status) for status in statuses)
        assert any(status.startswith("waiting for Redis") for status in statuses)
        text = worker_log()
    lines = [line for line in CUT_OFF_COPY.sub("", text).splitlines() if line]
    assert "Traceback" not in text, text
    assert re.search(rf"<6>.*scan {scan_id} of .*/music started", text)  # again, if it was killed
    # one line each
    for part in (f"the walk has ended, {FOUND} files", f"completed: {FOUND} found"):
        assert len(re.findall(rf"<6>.*scan {scan_id}.*{part}", text)) == 1, text
    assert "Redis is not available" in text
    assert "Redis is back after" in text
    assert re.search("<4>.*waits and tries again: PostgreSQL is not available", text)
    assert text.count("PostgreSQL is not available") <= 2 * 4, "once a minute for each process"
    assert re.search(r"<3>.*exited prematurely: signal 9", text)
    assert re.search("<3>.*a message of queue 'maintenance' is dropped: it cannot be decoded", text)
    # all but what Python and Celery write past the log carries a priority for the journal
    past_the_log = ("worker: ", "SecurityWarning", "superuser", "absolutely", "Please", "User")
    for line in lines:
        assert re.match(r"<[2-7]>", line) or any(words in line for words in past_the_log), line
    assert not re.search(r"^<[012]>", text, re.MULTILINE)


def _not_decodable():
    return (
        '{"body": "eA==", "content-encoding": "utf-8", "content-type": "application/x-strange",'
        ' "headers": {"lang": "py"}, "properties": {"delivery_tag": "t", "delivery_info":'
        ' {"exchange": "", "routing_key": "maintenance"}, "body_encoding": "base64"}}'
    )


def test_no_password_is_ever_written(tmp_path):
    password, other = "redis-sesame", "postgresql-sesame"
    servers = EmbeddedServers(tmp_path / "redis")
    servers.redis.start()
    naps = Naps(servers.redis, tmp_path)
    naps.redis.config_set("requirepass", password)
    environment = {
        "BACKEND_WORKER_REDIS_URL": f"redis+socket://:{password}@{servers.redis.socket}",
        "BACKEND_WORKER_DATABASE_URL": f"postgresql://me:{other}@127.0.0.1:1/library",
        "BACKEND_WORKER_LOG_LEVEL": "DEBUG",
    }
    with nap_worker(naps, app=OUR_APP, **environment) as worker:
        worker.wait_for_log("PostgreSQL is not available")
        servers.stop()
        worker.wait_for_log("Redis is not available")
        worker.process.send_signal(signal.SIGQUIT)
        worker.process.wait(WAIT_SECONDS)
        text = worker.log()
    assert "***@" in text
    assert password not in text
    assert other not in text


def test_hundreds_of_files_that_cannot_be_read_are_few_lines(
    library, servers, worker_log, tmp_path
):
    for number in range(600):
        (tmp_path / f"{number}.mp3").write_bytes(bytes([number % 250 + 1]) * 3000)
        (tmp_path / f"{number}.flac").touch()
    with library.running_worker(servers, **AS_THE_UNIT):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        status = library.scan(tmp_path)
        library.settle()
    assert status.failed == 1200
    assert worker_log().count("could not be read") < 40
    [end] = re.findall(r"could not read these files.*", worker_log())
    assert "600 because the file is empty" in end
    left_out = sum(map(int, re.findall(r"(\d+) more lines like this", worker_log())))
    assert left_out + len(re.findall(r"could not be read: '", worker_log())) >= 1200


def test_folder_that_is_not_utf8_looks_the_same_in_status_log_and_events(
    library, servers, worker_log, tmp_path
):
    root = os.path.join(os.fsencode(tmp_path), b"caf\xe9")
    os.mkdir(root)
    with open(os.path.join(root, b"\xff.mp3"), "wb"):
        pass
    name = f"{tmp_path}/caf\\xe9"
    with library.running_worker(servers, **AS_THE_UNIT):
        library.wait_for(library.worker_is_ready, what="a ready worker")
        status = library.scan(os.fsdecode(root))
        library.wait_for(lambda: "could not be read" in worker_log(), what="a line about the file")
    assert (status.status, status.root, status.failed) == ("completed", name, 1)
    assert f"scan {status.id} of {name} started" in worker_log()
    assert f"could not be read: '{name}/\\xff.mp3': the file is empty" in worker_log()
    told = [event for event in events.read() if event["scan"] == status.id]
    assert [event["root"] for event in told if event["kind"] == "scan.started"] == [name]
    assert browse.failures(1)["failures"][0]["path"] == rf"{name}/\xff.mp3"
