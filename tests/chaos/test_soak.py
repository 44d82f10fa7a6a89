"""Two minutes of the soak: nothing is wrong and nothing grows; `make soak` runs it for longer."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.chaos

MINUTES = 2


def test_short_soak():
    """In a process of its own, with servers of its own."""
    command = [sys.executable, "-m", "tests.soak", "--minutes", str(MINUTES)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
