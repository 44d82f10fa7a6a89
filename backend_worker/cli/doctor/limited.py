"""Checks in processes of their own, for as long as each may take.

Who asks a hung mount waits in the kernel, where no signal reaches him: neither a thread nor an
alarm would let the command go on, or end. A child that hangs is left behind; it ends with what
holds it up.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from backend_worker.cli.doctor.finding import Check


def run_all(checks: Sequence[Check]) -> Iterator[Finding]:
    """Run checks side by side, and yield what they find in their order."""
    began = time.monotonic()
    for check, (pid, answers) in [(check, _start(check)) for check in checks]:
        text = _read(answers, began + check.seconds)
        os.close(answers)
        if text is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            meaning, advice = check.hangs
            detail = f"no answer within {check.seconds:.0f} s{f': {meaning}' if meaning else ''}"
            yield Finding("problem", check.subject, detail, advice)
            continue
        os.waitpid(pid, 0)
        for line in text.splitlines():
            yield Finding(**json.loads(line))


def _start(check: Check) -> tuple[int, int]:
    answers, mine = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(answers)
            _let_go()
            _answer(check, mine)
        finally:
            os._exit(0)
    os.close(mine)
    return pid, answers


def _let_go() -> None:
    """Keep nothing open by which somebody would wait for a child that hangs."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)


def _answer(check: Check, answers: int) -> None:
    with os.fdopen(answers, "w", encoding="utf-8") as file:
        for finding in _guarded(check):
            file.write(json.dumps(asdict(finding)) + "\n")
            file.flush()


def _guarded(check: Check) -> Iterable[Finding]:
    try:
        yield from check.run()
    except Exception as error:
        yield Finding("problem", check.subject, f"{type(error).__name__}: {error}".strip())


def _read(answers: int, deadline: float) -> str | None:
    """Return all that a child says until it ends, or None if it does not."""
    said = b""
    while select.select([answers], [], [], max(0.0, deadline - time.monotonic()))[0]:
        new = os.read(answers, 1 << 16)
        if not new:
            return said.decode()
        said += new
    return None
