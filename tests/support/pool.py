"""A real pool of processes, without a worker around it."""

import os
import time

from kombu.asynchronous import Hub, set_event_loop
from kombu.asynchronous.semaphore import LaxBoundedSemaphore

from backend_worker.worker.children import idle_children
from backend_worker.worker.pool import SteadyPool
from tests.support.waiting import WAIT_SECONDS


def work(journal, seconds):
    """A job: notes its beginning and its end."""
    for event in ("start", "end"):
        with open(journal, "a") as file:
            file.write(f"{event} {os.getpid()}\n")
        if event == "start":
            time.sleep(seconds)
    return os.getpid()


class Pool:
    """Celery's pool with two processes, and the event loop that it lives in."""

    def __init__(self, journal, kind=SteadyPool):
        self.hub = Hub()
        set_event_loop(self.hub)
        self.pool = kind(2, threads=False, semaphore=LaxBoundedSemaphore(2), proc_alive_timeout=30)
        self.pool.register_with_event_loop(self.hub)
        self.journal = journal
        self.results = []

    def run_until(self, condition, what):
        """Run the event loop until something is so."""
        # as the autoscaler does; and the loop wakes up
        timer = self.hub.call_repeatedly(0.05, self.pool.maintain_pool)
        deadline = time.monotonic() + WAIT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, what
            self.hub.run_once()
        timer.cancel()

    def reconnect(self):
        """Do what the worker does when it has lost Redis and found it again."""
        self.hub.reset()
        self.pool.flush()
        self.pool.register_with_event_loop(self.hub)

    def end(self):
        """End the processes and the event loop."""
        self.pool.terminate()
        self.hub.close()
        set_event_loop(None)

    def send(self, seconds):
        """Hand a job to the pool that takes so long."""
        return self.pool.apply_async(work, (self.journal, seconds), callback=self.results.append)

    def lines(self):
        """Return the lines of the journal."""
        return self.journal.read_text().split("\n")[:-1] if self.journal.exists() else []

    def idle_pids(self):
        """Return the numbers of the processes without work."""
        return {child.pid for child in idle_children(self.pool)}

    def pids(self):
        """Return the numbers of all processes."""
        return {process.pid for process in self.pool._pool}
