"""A worker that goes from one file of tests to the next."""

import contextlib

from tests.support import lab


class SharedWorker:
    """Starts a worker when a file of tests wants one, and keeps it for the files behind it.

    A test of another file that wants none, or starts its own, finds none running.
    """

    def __init__(self):
        self._user = None
        self._process = self._start = None
        self._stack = contextlib.ExitStack()

    def get(self, user, servers, start):
        """Return the process of a worker that is ready, and begin with empty servers.

        Args:
            user: the module of the tests.
            servers: those of the worker.
            start: makes of them a context manager that runs a worker; another one, another worker.
        """
        if self.runs(start):
            lab.settle()
            lab.empty()
        else:
            self.stop()
            lab.empty()  # or it begins with what earlier tests left
            self._process, self._start = self._stack.enter_context(start(servers)), start
            lab.wait_for(lab.worker_is_ready, what="a ready worker")
        self._user = user
        return self._process

    def runs(self, start):
        """Say whether a worker runs that was started so."""
        return start is self._start and self._process.poll() is None

    def leave_alone(self, module):
        """Stop the worker unless this module of tests uses it."""
        if module is not self._user:
            self.stop()

    def stop(self):
        """Stop the worker, if it runs."""
        self._stack.close()
        self._user = self._process = self._start = None


SHARED = SharedWorker()
