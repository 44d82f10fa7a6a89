#!/usr/bin/python3
"""Stands for a worker of the earlier system: its task lasts longer than its unit allows."""

import pathlib
import signal
import sys
import time

name = sys.argv[1]
stopping = False


def stop(*_: object) -> None:
    """Take nothing more."""
    global stopping  # noqa: PLW0603 - a signal handler
    stopping = True


signal.signal(signal.SIGTERM, stop)
while not stopping:
    time.sleep(0.2)
time.sleep(5)  # the task in hand
pathlib.Path("/var/tmp", f"{name}.ended").touch()  # noqa: S108 - read by the test
