"""The commands and their arguments; what a command needs is imported when it runs."""

from __future__ import annotations

import argparse
import importlib
import os
from importlib.metadata import version
from typing import TYPE_CHECKING

from backend_worker.cli.errors import Exit
from backend_worker.queues import MAINTENANCE_TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_CODES = "exit codes: " + ", ".join(
    f"{code.value} {code.name.lower().replace('_', ' ')}" for code in Exit
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="backend-worker",
        description="Keeps a music library in PostgreSQL with one Celery worker.",
        epilog=EXIT_CODES,
    )
    parser.add_argument("--version", action="version", version=version("backend-worker"))
    parser.add_argument(
        "--embedded",
        metavar="FOLDER",
        default=os.environ.get("BACKEND_WORKER_EMBEDDED"),
        help="run with servers of its own, whose data are in this folder (a laptop without "
        "Redis and PostgreSQL); also by the variable BACKEND_WORKER_EMBEDDED",
    )
    parser.add_argument("--debug", action="store_true", help="show stack traces")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_scans(commands)
    _add_questions(commands)
    _add_care(commands)
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    function: str,
    help_text: str,
    *,
    needs: str = "",
) -> argparse.ArgumentParser:
    """Add a command.

    Args:
        commands: where to add it.
        name: as it is typed.
        function: ``module:name`` within this package.
        help_text: one line.
        needs: ``redis``, or ``worker`` for both.
    """
    command = commands.add_parser(name, help=help_text, description=help_text, epilog=EXIT_CODES)
    command.add_argument("--json", action="store_true", help="print JSON for programs")
    command.set_defaults(
        run=_lazy(function),
        needs_redis=needs in {"redis", "worker"},
        needs_worker=needs == "worker",
        starts_servers=False,
    )
    return command


def _lazy(function: str) -> Callable[[argparse.Namespace], int]:
    module, name = function.split(":")

    def run(args: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"backend_worker.cli.{module}"), name
        )
        return command(args)

    return run


def _add_scans(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    scan = _command(
        commands, "scan", "scan:scan", "look for new, changed, moved and gone files", needs="worker"
    )
    scan.add_argument("path", nargs="?", help="folder (default: the setting music_dir)")
    scan.add_argument("--follow", action="store_true", help="show progress until the scan ends")
    cancel = _command(
        commands, "cancel", "scan:cancel", "cancel a running scan, or all", needs="redis"
    )
    cancel.add_argument("scan", nargs="?", type=int, help="number of the scan")
    demo = _command(
        commands,
        "demo",
        "demo:demo",
        "scan a folder, or a made-up library, with servers of its own",
    )
    demo.add_argument(
        "--music", metavar="FOLDER", help="folder to scan (default: a sample library)"
    )
    demo.add_argument("--tracks", type=int, default=240, help="size of the sample library")
    demo.set_defaults(starts_servers=True)
    _command(commands, "worker", "worker:worker", "run the worker in the foreground")
    dashboard = _command(
        commands, "dashboard", "dashboard:dashboard", "serve the page with live progress"
    )
    dashboard.add_argument(
        "--listen", metavar="ADDRESS:PORT", help="default: the setting dashboard_listen"
    )
    dashboard.set_defaults(needs_worker=True)  # of its own, with --embedded


def _add_questions(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _command(
        commands,
        "status",
        "library:status",
        "what the worker does and what is in the library",
        needs="redis",
    )
    status.add_argument(
        "--prometheus", action="store_true", help="print metrics in Prometheus' text format"
    )
    top = _command(
        commands, "top", "top:top", "what the worker does, live, until Ctrl-C", needs="redis"
    )
    top.add_argument("--once", action="store_true", help="show it one time")
    top.add_argument(
        "--interval", type=_interval, default=1.0, help="seconds between two looks (default: 1)"
    )
    search = _command(
        commands, "search", "library:search", "find tracks by words; accents and typos are forgiven"
    )
    search.add_argument("text", nargs="+")
    search.add_argument("--limit", type=_positive, default=20)
    similar = _command(commands, "similar", "library:similar", "the tracks most like one")
    similar.add_argument("track", nargs="+", help="a track's number, or words that find it")
    similar.add_argument("--limit", type=_positive, default=10)
    failures = _command(
        commands, "failures", "library:failures", "files that could not be read, and why"
    )
    failures.add_argument("--limit", type=_positive, default=100)


def _add_care(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    retry = _command(
        commands, "retry", "maintenance:retry", "read again what could not be read", needs="worker"
    )
    retry.add_argument("--no-wait", action="store_true", help="do not wait for the worker to begin")
    forget = _command(
        commands, "forget", "roots:forget", "take a folder out of the library; no file is touched"
    )
    forget.add_argument("root", help="the folder as `backend-worker status` names it")
    forget.add_argument("--yes", action="store_true", help="do it; without, show what would go")
    maintenance = _command(
        commands,
        "maintenance",
        "maintenance:maintenance",
        "run a maintenance task now",
        needs="worker",
    )
    maintenance.add_argument("name", choices=[task.partition(".")[2] for task in MAINTENANCE_TASKS])
    maintenance.add_argument(
        "--timeout", type=float, default=600.0, help="seconds to wait for its end (default: 600)"
    )
    canary = _command(
        commands,
        "canary",
        "canary:canary",
        "send a task through each queue and see whether it comes back",
        needs="worker",
    )
    canary.add_argument(
        "--timeout", type=float, default=60.0, help="seconds to wait for all (default: 60)"
    )
    canary.add_argument(
        "--allow-busy",
        action="store_true",
        help="be content where a canary waits behind other tasks and the worker works them off",
    )
    _command(commands, "migrate", "maintenance:migrate", "bring the database's tables up to date")
    _command(commands, "doctor", "doctor:doctor", "check everything and say what to do")
    _command(commands, "config", "settings:config", "the settings, and where each comes from")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return value


def _interval(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:  # also not a NaN
        raise argparse.ArgumentTypeError("expected 0.1 to 3600 seconds")
    return value
