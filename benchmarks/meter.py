"""Measuring trees of processes while something happens: processor time, memory, wake-ups."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from backend_worker.worker.usage import tree_usage

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping

    from backend_worker.worker.usage import TreeUsage

# Looking at memory takes at most this share of one core, so that what consists of many
# processes is hardly slowed down more than what is one.
SAMPLING_SHARE = 0.05
_ENDED = (FileNotFoundError, ProcessLookupError)


def wakeups(pids: Iterable[int]) -> int:
    """Return how often the threads of these processes have gone to sleep by themselves.

    Each voluntary switch of a process that sleeps follows a wake-up.
    """
    total = 0
    for pid in pids:
        with suppress(*_ENDED):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with suppress(*_ENDED), open(f"/proc/{pid}/task/{thread}/status", "rb") as file:
                    fields = dict(line.split(b":", 1) for line in file if b":" in line)
                    total += int(fields[b"voluntary_ctxt_switches"])
    return total


class Meter:
    """Measures named groups of process trees while its block runs.

    Memory is sampled, the more often the fewer processes there are (one: every 0.1 s, forty:
    every second); a peak in between is not seen.

    Args:
        groups: the roots of each group's trees, such as ``{"worker": [pid], "redis": [pid]}``.
    """

    def __init__(self, groups: Mapping[str, Iterable[int]]) -> None:
        self.groups = {name: list(pids) for name, pids in groups.items()}
        self.peak_pss: dict[str, int] = defaultdict(int)  # by group, and "all" at one instant
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        self._cpu = self._cpu_now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds since the block began."""
        return time.perf_counter() - self._started

    def cpu(self) -> dict[str, float]:
        """Return the processor time since the block began, by group and in all, in seconds."""
        used = {name: now - self._cpu[name] for name, now in self._cpu_now().items()}
        return used | {"all": sum(used.values())}

    def _cpu_now(self) -> dict[str, float]:
        return {name: tree_usage(*roots).cpu_seconds for name, roots in self.groups.items()}

    def _sample(self) -> None:
        while True:
            began = time.thread_time()
            now = {name: tree_usage(*roots).pss for name, roots in self.groups.items()}
            now["all"] = sum(now.values())
            for name, value in now.items():
                self.peak_pss[name] = max(self.peak_pss[name], value)
            if self._stop.wait((time.thread_time() - began) / SAMPLING_SHARE):
                return


def run_to_end(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Wait for a program and return what it and all that it waited for has used.

    Returns:
        ``wall_seconds``, ``cpu_seconds`` and ``peak_pss`` (bytes).

    Raises:
        RuntimeError: it failed.
    """
    with Meter({"program": [process.pid]}) as meter:
        _, status, used = os.wait4(process.pid, 0)
        wall = meter.elapsed
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{os.path.basename(process.args[0])} ended with {process.returncode}")
    return {
        "wall_seconds": wall,
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "peak_pss": meter.peak_pss["program"],
    }


def idle(groups: Mapping[str, Iterable[int]], seconds: float) -> dict[str, dict[str, float]]:
    """Watch process trees that do nothing and return for each group what they use.

    Returns:
        By group, and summed up as ``all``: ``pss`` (bytes), ``wakeups`` a second, ``percent``
        of one core, and the number of ``processes``.
    """
    before = {name: _look(roots) for name, roots in groups.items()}
    started = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - started
    found = {}
    for name, roots in groups.items():
        woken, usage = _look(roots)
        woken_before, usage_before = before[name]
        found[name] = {
            "wakeups": (woken - woken_before) / elapsed,
            "percent": (usage.cpu_seconds - usage_before.cpu_seconds) / elapsed * 100,
            "pss": float(usage.pss),
            "processes": float(len(usage.processes)),
        }
    found["all"] = {
        key: sum(values[key] for values in found.values()) for key in next(iter(found.values()))
    }
    return found


def _look(roots: Iterable[int]) -> tuple[int, TreeUsage]:
    usage = tree_usage(*roots)
    return wakeups(process.pid for process in usage.processes), usage


def prefixed(parts: Mapping[str, float], prefix: str) -> Iterator[tuple[str, float]]:
    """Yield the parts with a word before their names."""
    for name, value in parts.items():
        yield f"{prefix}_{name}", value
