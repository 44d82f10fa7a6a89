"""``--embedded``: run a command with servers, and if need be a worker, of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from backend_worker.cli.errors import Exit, UserError
from backend_worker.config import get_config
from backend_worker.embedded import EmbeddedServerError, EmbeddedServers, end_with_parent

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from pathlib import Path

WORKER_STOP_SECONDS = 60


def run_embedded(
    folder: Path, args: argparse.Namespace, run: Callable[[argparse.Namespace], int]
) -> int:
    """Run the command with the servers in this folder, and stop what was started for it."""
    with embedded_servers(folder):
        if args.needs_worker and not _worker_runs():
            with embedded_worker(folder):
                return run(args)
        return run(args)


@contextmanager
def embedded_servers(folder: Path) -> Iterator[EmbeddedServers]:
    """Start the servers (unless they run already), migrate, and point the settings at them.

    Raises:
        UserError: a server does not start.
    """
    servers = EmbeddedServers(folder)
    try:
        with servers:
            os.environ.update(servers.environment())
            get_config.cache_clear()
            _migrate()
            yield servers
    except EmbeddedServerError as error:
        raise UserError(str(error), Exit.SERVER_AWAY) from error


@contextmanager
def embedded_worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the worker with the configuration that it has on a Pi; its log is in the folder."""
    environment = {
        **os.environ,
        # SIGTERM stops softly within seconds and gives unfinished tasks back
        "REMAP_SIGTERM": "SIGQUIT",
    }
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend_worker", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for us to pass on
            preexec_fn=end_with_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads yet
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # the group: children of a parent that died must not stay
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(WORKER_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _migrate() -> None:
    from backend_worker.storage.connection import connect  # noqa: PLC0415 - settings come first
    from backend_worker.storage.migrations import MigrationError, migrate  # noqa: PLC0415 - as above

    connection = connect()
    try:
        migrate(connection)
    except MigrationError as error:
        raise UserError(str(error)) from error
    finally:
        connection.close()


def _worker_runs() -> bool:
    from backend_worker.cli.workers import worker_answers  # noqa: PLC0415 - settings come first

    return worker_answers()
