"""What the worker tells systemd: sd_notify(3), in plain Python.

Nothing here ever raises, blocks or waits: a notification that fails must not touch the worker
(an OSError within the event loop would count as loss of the broker).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

# systemd's variables; see sd_notify(3) and sd_watchdog_enabled(3)
SOCKET_VARIABLE = "NOTIFY_SOCKET"
VARIABLES = (SOCKET_VARIABLE, "WATCHDOG_USEC", "WATCHDOG_PID")
# How much more time is asked for at once while the worker starts or stops.
EXTENSION_SECONDS = 60.0
LONGEST_START_SECONDS = 600.0


class Notifier:
    """Sends the state of this process to the service manager that started it, if one did.

    Args:
        environment: where systemd's variables are.

    Attributes:
        watchdog_seconds: within so many seconds each ping must come; None without a watchdog.
        consumes: whether READY was sent.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._pid = os.getpid()
        self._address = _address(environment.get(SOCKET_VARIABLE, ""))
        self.watchdog_seconds = _watchdog_seconds(environment, self._pid)
        self.consumes = False
        self._stops = False
        self._status = ""
        self._waits_since: float | None = None
        self._waits_until = 0.0

    def ready(self) -> None:
        """Say that the worker consumes (again); repeated with the pings until it was sent."""
        self._waits_since = None
        if not self.consumes:
            self.consumes = self.send(READY="1", WATCHDOG="1")

    def ping(self) -> None:
        """Say that the event loop turns."""
        self.send(WATCHDOG="1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows, if it is another than before."""
        line = " ".join(text.split())
        if line != self._status and self.send(STATUS=line):
            self._status = line

    def waiting(self, what: str) -> None:
        """Say that the worker is alive, and waits for a server; to be called every few seconds.

        While it starts, each call asks for more time: a server that is slow to start is no
        reason to be killed by ``TimeoutStartSec=``. But not for ever: whoever started the unit
        is to learn that it does not run. systemd tries again then.
        """
        if self._waits_since is None:
            self._waits_since = time.time()
            self._waits_until = time.monotonic() + LONGEST_START_SECONDS
        since = time.strftime("%H:%M", time.localtime(self._waits_since))
        self._status = f"waiting for {what} since {since}"
        message = {"STATUS": self._status, "WATCHDOG": "1"}
        if not self.consumes and time.monotonic() < self._waits_until:
            message["EXTEND_TIMEOUT_USEC"] = _microseconds(EXTENSION_SECONDS)
        self.send(**message)

    def stopping(self, seconds: float) -> None:
        """Say that the worker stops, and how long that may take; called from signal handlers."""
        if self._stops:
            return
        self._stops = True
        self.send(
            STOPPING="1",
            STATUS="stopping: unfinished tasks go back to their queues",
            EXTEND_TIMEOUT_USEC=_microseconds(seconds),
            WATCHDOG="1",
        )

    def send(self, **fields: str) -> bool:
        """Send fields as one message; False if it could not be sent.

        Without a service manager there is nothing to send, which is fine. A child of the
        worker sends nothing.
        """
        if self._address is None:
            return True
        if os.getpid() != self._pid:
            return False
        message = "\n".join(f"{name}={value}" for name, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)  # a full queue must not stop the event loop
                sender.sendto(message.encode("utf-8", "replace"), self._address)
        except Exception as error:
            with suppress(Exception):
                logger.debug("systemd was not told %s: %s", ", ".join(fields), error)
            return False
        return True


_notifier: Notifier | None = None


def notifier() -> Notifier:
    """Return this process's notifier."""
    global _notifier  # noqa: PLW0603 - one service manager
    if _notifier is None:
        _notifier = Notifier(os.environ)
    return _notifier


def forget_in_child() -> None:
    """Take systemd's variables away from a child and from whatever it starts."""
    for name in VARIABLES:
        os.environ.pop(name, None)


def _address(text: str) -> bytes | None:
    """Return the socket's address; None if there is none that we can use."""
    if text.startswith("/"):
        return os.fsencode(text)
    if text.startswith("@"):
        return b"\0" + os.fsencode(text[1:])  # in Linux' abstract namespace
    if text:
        logger.warning("%s=%s is no Unix socket: systemd is told nothing", SOCKET_VARIABLE, text)
    return None


def _watchdog_seconds(environment: Mapping[str, str], pid: int) -> float | None:
    text = environment.get("WATCHDOG_USEC", "")
    if environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None  # it watches another process
    return int(text) / 1e6 if text.isdecimal() and int(text) > 0 else None


def _microseconds(seconds: float) -> str:
    return str(int(seconds * 1e6))
