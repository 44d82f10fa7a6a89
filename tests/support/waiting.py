"""Waiting for a fact, with one limit for all: that of a machine that is busy with other things."""

import time

# Who waits in vain is not in a hurry. What must be fast is shown by ratios.
WAIT_SECONDS = 180
_LOOK_SECONDS = 0.05


def wait_for(condition, seconds=WAIT_SECONDS, what="condition"):
    """Wait until a function returns something true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(_LOOK_SECONDS)
    raise AssertionError(f"{what} not reached within {seconds} s")
