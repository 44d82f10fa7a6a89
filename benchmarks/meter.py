"""Measuring trees of processes: processor time, memory as PSS, and wake-ups.

PSS (proportional set size) shares a page among those who map it, so the sum over processes is
what they occupy together. Processor time includes that of descendants which have ended: the
kernel adds it to the parent that waited for them. Source: proc(5).
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator, Mapping

FIRST_SAMPLE_SECONDS, SAMPLE_SECONDS = 0.03, 0.25
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_ENDED = (FileNotFoundError, ProcessLookupError)


def tree(*roots: int) -> set[int]:
    """Return these processes and their descendants, as far as they still run."""
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        with suppress(*_ENDED):
            # a child belongs to the thread that forked it
            for thread in os.listdir(f"/proc/{pid}/task"):
                with suppress(*_ENDED), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                    waiting += map(int, file.read().split())
            found.add(pid)
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time of these processes and of their ended children, in seconds."""
    ticks = 0
    for pid in pids:
        with suppress(*_ENDED), open(f"/proc/{pid}/stat", "rb") as file:
            # behind the name, which may hold anything, are numbers: 14 to 17 are times
            fields = file.read().rpartition(b")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS_PER_SECOND


def pss(pids: Iterable[int]) -> int:
    """Return the bytes of memory that these processes occupy together.

    Raises:
        PermissionError: they belong to somebody else.
    """
    total = 0
    for pid in pids:
        with suppress(*_ENDED), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total


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

    Memory is sampled four times a second, in the first second more often; a peak in between is
    not seen.

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
        return {name: cpu_seconds(tree(*roots)) for name, roots in self.groups.items()}

    def _sample(self) -> None:
        while True:
            now = {name: pss(tree(*roots)) for name, roots in self.groups.items()}
            now["all"] = sum(now.values())
            for name, value in now.items():
                self.peak_pss[name] = max(self.peak_pss[name], value)
            pause = min(SAMPLE_SECONDS, max(FIRST_SAMPLE_SECONDS, self.elapsed / 4))
            if self._stop.wait(pause):
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
    pids = {name: tree(*roots) for name, roots in groups.items()}
    before = {name: (wakeups(group), cpu_seconds(group)) for name, group in pids.items()}
    started = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - started
    found = {}
    for name, group in pids.items():
        woken, cpu = before[name]
        found[name] = {
            "wakeups": (wakeups(group) - woken) / elapsed,
            "percent": (cpu_seconds(group) - cpu) / elapsed * 100,
            "pss": float(pss(group)),
            "processes": float(len(group)),
        }
    found["all"] = {
        key: sum(values[key] for values in found.values()) for key in next(iter(found.values()))
    }
    return found


def prefixed(parts: Mapping[str, float], prefix: str) -> Iterator[tuple[str, float]]:
    """Yield the parts with a word before their names."""
    for name, value in parts.items():
        yield f"{prefix}_{name}", value
