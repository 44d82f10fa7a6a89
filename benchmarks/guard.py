"""Ratios that do not depend on the machine, for the tests: has anything become twice as dear?"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from backend_worker.worker.usage import tree_usage
from benchmarks.lab import Lab
from benchmarks.libraries import warm
from benchmarks.machine import ROOT
from benchmarks.meter import run_to_end

if TYPE_CHECKING:
    from pathlib import Path


def idle_memory(kind: str, folder: Path) -> int:
    """Return the PSS of an idle worker in bytes.

    Args:
        kind: ``ours``, or ``bare`` for a Celery worker with one process and nothing of ours.
        folder: a folder for the servers' data; what it holds is removed.
    """
    with Lab(folder) as lab:
        if kind == "ours":
            lab.start_one()
            lab.wait_for_fewest_processes()
        else:
            lab.start_bare()
        return tree_usage(*lab.workers).pss


def scan_cpu(folder: Path, library: Path, warm_up: Path) -> dict[str, float]:
    """Return the processor time of a scan and of a bare mutagen loop, in seconds.

    Args:
        folder: a folder for the servers' data; what it holds is removed.
        library: what is scanned.
        warm_up: what is scanned before: what a process imports once is not counted.
    """
    warm(library)
    command = [sys.executable, "-m", "benchmarks.loops", "tags", str(library)]
    loop = run_to_end(subprocess.Popen(command, cwd=ROOT))
    with Lab(folder) as lab:
        lab.start_one()
        lab.scan(warm_up)
        lab.settle()
        with lab.meter() as meter:
            lab.scan(library)
            return {"ours": meter.cpu()["all"], "loop": loop["cpu_seconds"]}
