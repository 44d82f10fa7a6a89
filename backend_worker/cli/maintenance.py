"""``maintenance``, ``retry`` and ``migrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import TimeoutError as ResultTimeoutError

from backend_worker.celery_app import app
from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError
from backend_worker.cli.workers import worker_answers
from backend_worker.storage import migrations
from backend_worker.storage.connection import connect

if TYPE_CHECKING:
    import argparse

RETRY_SECONDS = 60.0


def maintenance(args: argparse.Namespace) -> Exit:
    """Run a maintenance task in the worker and show what it did."""
    result = _run(f"maintenance.{args.name}", args.timeout)
    _show(args, f"maintenance {args.name}", result)
    return Exit.OK


def retry(args: argparse.Namespace) -> Exit:
    """Read again what could not be read."""
    if args.no_wait:
        task_id = app.send_task("maintenance.retry_failed", ignore_result=True).id
        if args.json:
            output.print_json({"task": task_id})
        else:
            output.print_line("the files are read again as soon as the worker gets to it")
        return Exit.OK
    result = _run("maintenance.retry_failed", RETRY_SECONDS)
    if args.json:
        output.print_json(result)
    else:
        output.print_line(f"{result['files']} files are being read again")
    return Exit.OK


def _run(task_name: str, timeout: float) -> Any:
    if not worker_answers():
        raise UserError("no worker answers: is celery-worker.service running?", Exit.SERVER_AWAY)
    pending = app.send_task(task_name, ignore_result=False)
    try:
        return pending.get(timeout=timeout)
    except ResultTimeoutError as error:
        raise UserError(
            f"{task_name} has not ended after {timeout:g} s; it goes on in the worker"
        ) from error


def _show(args: argparse.Namespace, title: str, result: Any) -> None:
    if args.json:
        output.print_json(result)
    else:
        output.print_facts(title, result)


def migrate(args: argparse.Namespace) -> Exit:
    """Apply the migrations that the database lacks."""
    connection = connect()
    try:
        applied = migrations.migrate(connection)
    except migrations.MigrationError as error:
        raise UserError(str(error)) from error
    finally:
        connection.close()
    names = [f"{migration.version:04}_{migration.name}" for migration in applied]
    if args.json:
        output.print_json({"applied": names})
    else:
        output.print_line("applied: " + ", ".join(names) if names else "the tables are up to date")
    return Exit.OK
