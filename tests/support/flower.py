"""A Flower of a test's own, on loopback."""

import contextlib
import os
import subprocess
import sys
import urllib.error
import urllib.request

from tests.support.dashboard import free_port
from tests.support.waiting import WAIT_SECONDS, wait_for


@contextlib.contextmanager
def running_flower(folder, **environment):
    """Run Flower beside the tests' worker, with further variables; yield its address."""
    url = f"http://127.0.0.1:{free_port()}"
    log = folder / "flower.log"
    command = [sys.executable, "-m", "celery", "--app=backend_worker.celery_app", "--skip-checks"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, "flower", "--address=127.0.0.1", f"--port={url.rpartition(':')[2]}"],
            # the limit as on a Pi
            env=os.environ | {"BACKEND_WORKER_REDIS_POOL_LIMIT": "24"} | environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )

    def answers():
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            # without a proxy of the environment
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            return opener.open(f"{url}/healthcheck", timeout=5).status == 200
        return False

    try:
        wait_for(answers, what="Flower")
        yield url
    finally:
        process.kill()  # as its unit does: it waits for the worker otherwise
        process.wait(WAIT_SECONDS)
