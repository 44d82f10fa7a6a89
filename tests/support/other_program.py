"""Another Celery program that uses the same Redis, with a worker of its own."""

import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path

from celery import Celery

from tests.support.nap_worker import NapWorker

ROOT = Path(__file__).parents[2]
BROKER_VARIABLE = "OTHER_PROGRAM_BROKER"
QUEUE = "celery"  # Celery's own, which no other program is asked to rename

app = Celery("other_program", broker=os.environ.get(BROKER_VARIABLE), set_as_current=False)
app.conf.update(task_acks_late=True, task_ignore_result=True)


@app.task(name="other_program.work")
def work(seconds):
    """Keep a message taken for a while."""
    time.sleep(seconds)


@contextmanager
def other_worker(naps, node="celery-worker"):
    """Run its worker, by default under the name that ours has, until the block is left."""
    environment = {**os.environ, BROKER_VARIABLE: naps.environment["BACKEND_WORKER_REDIS_URL"]}
    log_file = naps.folder / f"other-{uuid.uuid4().hex[:8]}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", __name__, "worker", "--loglevel=INFO"),
                *("--concurrency=1", f"--hostname={node}@%h", f"--queues={QUEUE}"),
            ],
            env={**environment, "PYTHONPATH": str(ROOT)},
            cwd=naps.folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    worker = NapWorker(process, log_file)
    try:
        worker.wait_for_log(" ready.")
        yield worker
    finally:
        worker.kill()
