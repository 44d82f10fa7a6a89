"""``worker``: run the worker in the foreground, as the systemd unit does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.cli.errors import Exit
from backend_worker.config import get_config
from backend_worker.worker.command import run_worker

if TYPE_CHECKING:
    import argparse


def worker(args: argparse.Namespace) -> Exit:
    """Run until told to stop."""
    run_worker(get_config())
    return Exit.OK
