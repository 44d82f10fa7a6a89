"""``dashboard``: serve the page and its API."""

from __future__ import annotations

import dataclasses
import os
import secrets
from typing import TYPE_CHECKING

from backend_worker import journal
from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError, is_folder
from backend_worker.config import get_config

if TYPE_CHECKING:
    import argparse


def dashboard(args: argparse.Namespace) -> Exit:
    """Serve until told to stop, or until nobody looks where systemd starts it on demand."""
    from backend_worker.dashboard.server import serve  # noqa: PLC0415 - imports tornado

    if args.embedded and not get_config().music_dir:
        # for the commands too that the page's buttons run
        os.environ["BACKEND_WORKER_MUSIC_DIR"] = _last_scanned()
        get_config.cache_clear()
    config = get_config()
    journal.set_up(config.log_level)
    if args.listen:
        config = dataclasses.replace(config, dashboard_listen=args.listen)
    if args.embedded and not config.dashboard_token_file:
        token_file = os.path.join(os.path.abspath(args.embedded), "dashboard.token")
        config = dataclasses.replace(config, dashboard_token_file=token_file)
        make_token(token_file)
        output.print_line(f"changes need the token in {os.path.relpath(token_file)}")
    try:
        serve(config)
    except OSError as error:
        raise UserError(
            f"the dashboard cannot listen on {config.dashboard_listen}: {error.strerror}; "
            "name another address with --listen"
        ) from error
    return Exit.OK


def _last_scanned() -> str:
    """Return the folder of the newest scan, or "" if there is none any more."""
    from backend_worker.storage import scans  # noqa: PLC0415 - its address is set by now
    from backend_worker.storage.connection import close_process_connection  # noqa: PLC0415 - as above

    newest = scans.recent(1)
    close_process_connection()
    return newest[0].root if newest and is_folder(newest[0].root) else ""


def make_token(path: str) -> None:
    """Write a new token into a file that only its owner can read, unless it exists."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
