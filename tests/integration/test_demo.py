"""The demo as a person runs it: from nothing to similar tracks, and no process left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import httpx
import psutil
import pytest

from tests.support.dashboard import free_port
from tests.support.waiting import WAIT_SECONDS, wait_for

TRACKS = 60


def start(folder, *arguments):
    return start_command(folder, "demo", "--tracks", str(TRACKS), *arguments)


def start_command(folder, *arguments):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("BACKEND_WORKER_")
    }
    environment["BACKEND_WORKER_COVER_ART_ARCHIVE"] = "no"
    return subprocess.Popen(
        [sys.executable, "-m", "backend_worker", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # ignored where the tests run in the background of a shell, and that is inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )


def processes_in(folder):
    """Return the processes that were started in a folder or name it in their arguments."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd", "environ", "status"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        words += (process.info["environ"] or {}).values()
        if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(folder) in w for w in words):
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def wait_until_none(folder):
    wait_for(lambda: not processes_in(folder), what="no process in the folder")


def wait_for_worker(folder):
    """Return the worker's parent process as soon as there is one, whatever it is at."""

    def worker():
        for process in processes_in(folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.cmdline()[-1:] == ["worker"]:
                    return process
        return None

    return wait_for(worker, what="a worker")


def test_demo_ends_with_the_summary_and_the_second_run_finds_nothing_new(tmp_path):
    first = start(tmp_path)
    output, _ = first.communicate(timeout=WAIT_SECONDS)
    assert first.returncode == 0, output
    assert "most like" in output
    assert "completed" in output
    second = start(tmp_path, "--json")
    output, _ = second.communicate(timeout=WAIT_SECONDS)
    assert second.returncode == 0, output
    final = json.loads(output.splitlines()[-1])
    assert (final["stored"], final["unchanged"], final["status"]) == (0, TRACKS, "completed")
    wait_until_none(tmp_path)


def test_the_demo_waits_for_the_task_that_asks_for_the_vectors(library, worker):
    """It stores the last batch: the scan has ended by then, and no vector is asked for yet."""
    from backend_worker.cli import demo
    from backend_worker.progress.connection import redis_client
    from backend_worker.tasks.broker import UNACKED_KEY

    redis_client().hset(UNACKED_KEY, "tag", json.dumps([{}, "", "extract"]))
    ended = threading.Event()

    def wait():
        demo._wait_for_followers(quiet=True)
        ended.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not ended.wait(5 * demo.POLL_SECONDS)
    redis_client().hdel(UNACKED_KEY, "tag")
    assert ended.wait(WAIT_SECONDS)
    waiting.join()


@pytest.mark.slow
def test_page_of_the_demo_scans_the_demo_again(tmp_path):
    start(tmp_path).communicate(timeout=WAIT_SECONDS)
    address = f"127.0.0.1:{free_port()}"
    folder = ".run/sample"
    page = start_command(tmp_path, "--embedded", folder, "dashboard", "--listen", address)
    try:
        wait_for(lambda: answers(f"http://{address}/healthz"), what="the page")
        token = (tmp_path / folder / "dashboard.token").read_text().strip()
        answer = httpx.post(
            f"http://{address}/api/scans",
            headers={"Authorization": f"Bearer {token}"},
            trust_env=False,
            timeout=WAIT_SECONDS,
        )
        assert answer.status_code == 202, answer.text

        def ended():
            scan = httpx.get(f"http://{address}/api/scans/{answer.json()['id']}", trust_env=False)
            return scan.json() if scan.json().get("finished_at") else None

        scan = wait_for(ended, what="the end of the scan")
        assert (scan["status"], scan["unchanged"]) == ("completed", TRACKS)
        assert scan["root"] == str(tmp_path / folder / "music")
    finally:
        page.send_signal(signal.SIGTERM)
        page.communicate(timeout=WAIT_SECONDS)
    wait_until_none(tmp_path)


def answers(address):
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(address, trust_env=False).status_code == 200
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name
)
def test_interrupted_demo_leaves_no_process_and_goes_on_next_time(tmp_path, how):
    demo = start(tmp_path, "--tracks", "1000")
    wait_for_worker(tmp_path)
    demo.send_signal(how)
    demo.communicate(timeout=WAIT_SECONDS)
    assert demo.returncode != 0
    wait_until_none(tmp_path)
    again = start(tmp_path, "--tracks", "1000")
    output, _ = again.communicate(timeout=WAIT_SECONDS)
    assert again.returncode == 0, output


def test_folder_that_does_not_exist_is_a_sentence(tmp_path):
    demo = start(tmp_path, "--music", str(tmp_path / "nowhere"))
    output, _ = demo.communicate(timeout=WAIT_SECONDS)
    assert demo.returncode == 2
    assert "nowhere is not a folder" in output
    assert "Traceback" not in output
    wait_until_none(tmp_path)


@pytest.mark.slow
def test_dead_worker_ends_the_demo_with_the_place_of_its_log(tmp_path):
    demo = start(tmp_path, "--json", "--tracks", "3000")
    os.killpg(wait_for_worker(tmp_path).pid, signal.SIGKILL)
    output, _ = demo.communicate(timeout=WAIT_SECONDS)
    assert demo.returncode == 1
    assert "worker.log" in output
    wait_until_none(tmp_path)
