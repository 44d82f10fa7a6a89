"""Nine services against one worker: the same package, the same files, the same servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from benchmarks.figures import summarise
from benchmarks.lab import Lab, isolated
from benchmarks.libraries import made_up, view_of, warm
from benchmarks.meter import idle, prefixed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The worker scales down thirty seconds after its last task.
AFTER_SECONDS = 32.0
SUBJECTS = ("nine", "one")


def run(
    cache: Path, *, tracks: int, runs: int, idle_seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure both in turn, so that a machine which changes its pace is fair to both."""
    library = made_up(cache, tracks)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SUBJECTS}
    for number in range(1, runs + 1):
        for name in SUBJECTS:
            say(f"nine against one: {name}, run {number} of {runs}")
            last = number == runs
            values = isolated(measure, name, library, cache, idle_seconds, last)
            found[name].append(values)
    return {
        "tracks": tracks,
        "runs": runs,
        "subjects": {name: summarise(values) for name, values in found.items()},
    }


def measure(
    subject: str, library: Path, cache: Path, idle_seconds: float, afterwards: bool
) -> dict[str, float]:
    """Start one of them, let it idle, scan, and if asked look at what it keeps afterwards."""
    values: dict[str, float] = {}
    with view_of(library, cache / "view") as view, Lab(cache / "lab") as lab:
        warm(view)
        if subject == "nine":
            lab.start_nine()
        else:
            lab.start_one()
        lab.wait_for_fewest_processes()
        values |= _idle(lab, idle_seconds, "idle")
        operations = lab.redis_operations()
        with lab.meter() as meter:
            status = lab.scan(view)
            values |= {"scan_seconds": status.seconds, "tracks": float(status.stored)}
            lab.settle()
            values["all_done_seconds"] = meter.elapsed
            values |= {f"{name}_cpu_seconds": cpu for name, cpu in meter.cpu().items()}
        values |= {f"peak_{name}_pss": peak for name, peak in meter.peak_pss.items()}
        values["scan_redis_operations"] = float(lab.redis_operations() - operations)
        if afterwards:
            time.sleep(AFTER_SECONDS)
            lab.wait_for_fewest_processes()
            values |= _idle(lab, idle_seconds, "after")
    return values


def _idle(lab: Lab, seconds: float, prefix: str) -> dict[str, float]:
    operations = lab.redis_operations()
    found = idle(lab.groups(), seconds)
    values = {f"{prefix}_redis_operations": (lab.redis_operations() - operations) / seconds}
    for group, parts in found.items():
        values |= dict(prefixed(parts, f"{prefix}_{group}"))
    return values
