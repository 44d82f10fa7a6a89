"""The receiving end of sd_notify: what systemd would hear from a worker."""

import itertools
import socket
import time
from contextlib import contextmanager

from tests.support.waiting import WAIT_SECONDS, wait_for

WATCHDOG_SECONDS = 4


class ServiceManager:
    """Collects notifications; each is a dictionary of its fields, with the time it came."""

    def __init__(self, address):
        self.address = address
        self._socket = None
        self._received = []
        self.listen()

    def listen(self):
        """Open the socket."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.address))
        self._socket.setblocking(False)

    def vanish(self):
        """Close the socket and remove it."""
        self._socket.close()
        self.address.unlink()

    @property
    def environment(self):
        """What systemd sets for a unit of Type=notify with a watchdog."""
        return {
            "NOTIFY_SOCKET": str(self.address),
            "WATCHDOG_USEC": str(WATCHDOG_SECONDS * 1_000_000),
        }

    def messages(self):
        """Return all that came so far: pairs of time and fields."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self._received
            fields = dict(line.split("=", 1) for line in text.splitlines())
            self._received.append((time.monotonic(), fields))

    def longest_silence(self, seconds):
        """Listen for so long and return the longest time, in seconds, without a ping."""
        self.forget()
        times = [time.monotonic()]
        while time.monotonic() < times[0] + seconds:
            self.messages()
            time.sleep(0.05)
        times += [when for when, fields in self.messages() if "WATCHDOG" in fields]
        times.append(time.monotonic())
        return max(after - before for before, after in itertools.pairwise(times))

    def forget(self):
        """Forget what came so far."""
        self.messages()
        self._received = []

    def have(self, **wanted):
        """Return the messages that have these fields; None accepts any value."""
        return [
            fields
            for _, fields in self.messages()
            if all(
                name in fields and value in {None, fields[name]} for name, value in wanted.items()
            )
        ]

    def statuses(self):
        """Return the status lines, oldest first."""
        return [fields["STATUS"] for fields in self.have(STATUS=None)]

    def wait_for(self, seconds=WAIT_SECONDS, **wanted):
        """Wait for a message with these fields and return it."""
        return wait_for(lambda: self.have(**wanted), seconds, f"notification {wanted}")[0]

    def wait_for_status(self, text, seconds=WAIT_SECONDS):
        """Wait for a status line that contains a text, and return it."""

        def found():
            return [status for status in self.statuses() if text in status]

        return wait_for(found, seconds, f"status with {text!r}, not only {self.statuses()}")[0]


@contextmanager
def service_manager(folder):
    """A socket in this folder."""
    manager = ServiceManager(folder / "notify")
    yield manager
    manager.vanish()
