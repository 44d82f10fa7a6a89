"""``doctor``: check every dependency, path, permission and setting, and say what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.doctor import folders, machine, postgres, program, redis, worker
from backend_worker.cli.doctor.finding import Finding
from backend_worker.cli.doctor.limited import run_all
from backend_worker.cli.errors import Exit
from backend_worker.config import ConfigError, get_config

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_MARKS = {"ok": "✓", "warning": "!", "problem": "✗"}


def doctor(args: argparse.Namespace) -> Exit:
    """Run all checks; the exit code says whether one of them found a problem."""
    findings = list(examine())
    if args.json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        output.print_table(
            "",
            ["", "what", "found", "what to do"],
            [[_MARKS[f.state], f.subject, f.detail, f.advice] for f in findings],
        )
    return Exit.FAILED if any(f.state == "problem" for f in findings) else Exit.OK


def examine() -> Iterator[Finding]:
    """Yield every finding; a check that fails unexpectedly, or does not end, is one too."""
    checks = [program.check()]
    try:
        config = get_config()
    except ConfigError as error:
        yield from run_all(checks)
        yield Finding("problem", "settings", str(error), "correct the variable")
        return
    yield Finding("ok", "settings", "all values are valid")
    checks += [redis.check(config), postgres.check(config), worker.check()]
    yield from run_all([*checks, *folders.checks(config), *machine.checks()])
