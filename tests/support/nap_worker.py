"""A worker whose tasks are naps, on a Redis that a test may stop, and what came of them."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import redis
from celery import Celery

from backend_worker.celery_app import celery_settings
from backend_worker.config import from_environment
from backend_worker.embedded import end_with_parent
from backend_worker.tasks.broker import UNACKED_KEY
from backend_worker.worker.command import worker_arguments
from tests.support.naps import JOURNAL_VARIABLE, NAP, alarm_of
from tests.support.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parents[2]
TINY_APP = "tests.support.tiny_app"
OUR_APP = "backend_worker.celery_app"
QUEUE = "maintenance"


class Naps:
    """The client's side: sends naps and reads their journal.

    Args:
        server: an embedded Redis.
        folder: where the journal and the workers' logs are written.
        database: number of the database within Redis.
    """

    def __init__(self, server, folder, database=0):
        self.folder = folder
        self.journal = folder / f"naps-{database}.txt"
        self.environment = {
            "BACKEND_WORKER_REDIS_URL": f"{server.url}?virtual_host={database}",
            JOURNAL_VARIABLE: str(self.journal),
        }
        self.redis = redis.Redis(unix_socket_path=str(server.socket), db=database)
        self.app = Celery("naps", set_as_current=False)
        url = {"BACKEND_WORKER_REDIS_URL": self.environment["BACKEND_WORKER_REDIS_URL"]}
        self.app.conf.update(celery_settings(from_environment(url)))

    def send(self, count, seconds, name=NAP, **options):
        """Send some naps and return their ids."""
        tasks = [str(uuid.uuid4()) for _ in range(count)]
        for task in tasks:
            self.app.send_task(name, [seconds], task_id=task, ignore_result=True, **options)
        return tasks

    def wake(self):
        """End all naps, also those that begin from now on."""
        Path(alarm_of(self.journal)).touch()

    def events(self):
        """Return what was written so far: pairs of "start" or "end" and a nap's id."""
        try:
            lines = self.journal.read_text().splitlines()
        except FileNotFoundError:
            return []
        events = [line.split() for line in lines]
        return [(event, task) for event, task, _ in sorted(events, key=lambda e: float(e[2]))]

    def times(self, event):
        """Return how often each nap started, or ended."""
        return Counter(task for what, task in self.events() if what == event)

    def wait_for(self, event, tasks, seconds=WAIT_SECONDS):
        """Wait until each of these naps has started, or ended, at least once."""
        done = set(tasks).issubset
        wait_for(lambda: done(self.times(event)), seconds, f"{event} of {len(tasks)} naps")

    def most_at_once(self):
        """Return how many naps were taken at the same time, at most."""
        most = running = 0
        for event, _ in self.events():
            running += 1 if event == "start" else -1
            most = max(most, running)
        return most

    def taken(self):
        """Return the ids of the tasks that are taken and not acknowledged."""
        messages = [json.loads(value)[0] for value in self.redis.hvals(UNACKED_KEY)]
        return {message["headers"]["id"] for message in messages}

    def waiting(self):
        """Return how many messages wait in the queue of the naps."""
        return self.redis.llen(QUEUE)

    def wait_until_empty(self, seconds=WAIT_SECONDS):
        """Wait until no message waits or is taken."""
        wait_for(lambda: not self.waiting() and not self.taken(), seconds, "an empty Redis")


class NapWorker:
    """A worker's process; the log tells how far it is, whether Redis runs or not."""

    def __init__(self, process, log):
        self.process = process
        self._log = log

    def log(self):
        """Return all that it has written."""
        return self._log.read_text(errors="replace")

    def wait_for_log(self, text, times=1, seconds=WAIT_SECONDS):
        """Wait until a text stands in the log so many times."""

        def found():
            assert self.process.poll() is None, f"the worker ended: {self.log()[-2000:]}"
            return self.log().count(text) >= times

        wait_for(found, seconds, f"{text!r} in the worker's log")

    def is_alive(self):
        """Say whether the process runs."""
        return self.process.poll() is None

    def kill(self):
        """End the worker and its children as a power cut would."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def nap_worker(
    naps,
    app=TINY_APP,
    python=sys.executable,
    node="celery-worker",
    started=" ready.",
    **environment,
):
    """Run a worker with the Pi's command line until the block is left, and wait until it is ready.

    Args:
        naps: whose naps it takes.
        app: module of the application.
        python: the interpreter, of whatever environment.
        node: the worker's name before the ``@``.
        started: the text in its log to wait for.
        environment: further variables.
    """
    settings = {**os.environ, **environment}
    config = from_environment(
        {name: text for name, text in settings.items() if name.startswith("BACKEND_WORKER_")}
    )
    command = [str(python), "-m", "celery", "-A", app, *worker_arguments(config)]
    command += [f"--hostname={node}@%h", "--include=tests.support.naps"]
    log_file = naps.folder / f"worker-{uuid.uuid4().hex[:8]}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **naps.environment, "PYTHONPATH": str(ROOT), **environment},
            cwd=naps.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - tests have no threads
        )
    worker = NapWorker(process, log_file)
    try:
        worker.wait_for_log(started)
        yield worker
    finally:
        worker.kill()


def restart(server, away=0.0):
    """Stop a server, wait for some seconds, and start it with the data that it had."""
    server.stop()
    time.sleep(away)
    server.start()
