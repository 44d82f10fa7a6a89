"""What the canary's exit code says about returned, waiting and lost canaries."""

import argparse

import pytest

from backend_worker.cli import canary
from backend_worker.cli.canary import Flight


@pytest.mark.parametrize(
    ("state", "allow_busy", "code"),
    [
        ("returned", False, 0),
        ("waiting", False, 3),
        ("waiting", True, 0),
        ("lost", False, 3),
        ("lost", True, 3),
    ],
)
def test_exit_code(monkeypatch, capsys, state, allow_busy, code):
    monkeypatch.setattr(canary, "_tasks_done", lambda: 0)
    flights = [Flight("scan", "returned", 0.1, "pi"), Flight("covers", state)]
    monkeypatch.setattr(canary, "fly", lambda timeout, before: flights)
    arguments = argparse.Namespace(json=False, timeout=1.0, allow_busy=allow_busy)
    assert canary.canary(arguments) == code
    assert state in capsys.readouterr().out
