"""``worker``: run the worker in the foreground, as the systemd unit does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.cli.errors import Exit, UserError
from backend_worker.config import get_config
from backend_worker.worker.command import WorkerRunsError, run_worker

if TYPE_CHECKING:
    import argparse


def worker(args: argparse.Namespace) -> Exit:
    """Run until told to stop.

    Raises:
        UserError: it runs already.
    """
    try:
        run_worker(get_config())
    except WorkerRunsError as error:
        raise UserError(str(error), Exit.BUSY) from error
    return Exit.OK
