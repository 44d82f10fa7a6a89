"""``scan`` and ``cancel``."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

from backend_worker.celery_app import app
from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError, check_folder
from backend_worker.cli.follow import follow, show_summary
from backend_worker.cli.workers import worker_answers
from backend_worker.config import get_config
from backend_worker.storage import roots, scans

if TYPE_CHECKING:
    import argparse


def scan(args: argparse.Namespace) -> Exit:
    """Start a scan, and follow it if asked to."""
    scan_id = start_scan(args.path or get_config().music_dir)
    if args.follow:
        status = follow(scan_id, json_lines=args.json)
        if not args.json:
            show_summary(status)
        return Exit.OK if status.status == "completed" else Exit.FAILED
    if args.json:
        output.print_json({"scan": scan_id})
    else:
        output.print_line(f"scan {scan_id} is queued; `backend-worker status` shows it")
        if not worker_answers():
            output.print_line("no worker answers: it begins when celery-worker.service runs")
    return Exit.OK


def start_scan(directory: str, *, join: bool = False) -> int:
    """Register a scan of the folder, send it to the worker and return its number.

    Args:
        directory: the folder.
        join: return the scan of this very folder that is running, instead of complaining.

    Raises:
        UserError: the folder is not usable, or a scan of it is running.
    """
    if not directory:
        raise UserError("no folder given: name one, or set BACKEND_WORKER_MUSIC_DIR", Exit.USAGE)
    path = check_folder(directory)
    task_id = str(uuid.uuid4())
    try:
        roots.refuse_another_name(os.fsencode(path))
        scan_id = scans.begin(os.fsencode(path), task_id)
    except roots.SameFolderError as error:
        raise UserError(str(error), Exit.USAGE) from error
    except scans.ScanRunningError as error:
        if join and error.root == os.fsencode(path):
            return error.scan_id
        raise UserError(str(error), Exit.BUSY) from error
    try:
        app.send_task("scan.discovery", [path], task_id=task_id, ignore_result=True)
    except BaseException:
        scans.abandon(scan_id, "it could not be sent: Redis was not available")
        raise
    return scan_id


def cancel(args: argparse.Namespace) -> Exit:
    """Cancel one scan or all; what is stored stays stored."""
    cancelled = scans.cancel(args.scan)
    for scan_id in cancelled:
        app.send_task("scan.finish", [scan_id], ignore_result=True)
    if args.json:
        output.print_json({"cancelled": cancelled})
    elif cancelled:
        output.print_line(f"cancelled: scan {', '.join(map(str, cancelled))}")
    else:
        output.print_line("no such scan is running" if args.scan else "no scan is running")
    return Exit.OK if cancelled else Exit.NOT_FOUND
