"""What processes use, as Linux counts it: memory as PSS, and processor time.

PSS (proportional set size) shares each page among the processes that map it, so the sum over
a worker's processes is what they occupy together. The sum of their RSS would count what the
parent loaded before it forked once for each child.

Sources: ``/proc/<pid>/stat`` and ``/proc/<pid>/smaps_rollup`` (proc(5)). The latter is readable
for processes of the same user, and costs the kernel about a millisecond a process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

_KIB = 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """One process: its memory in bytes, its processor time in seconds."""

    pid: int
    parent: int
    pss: int  # its share of what it maps
    private: int  # what only it maps: this comes back when it ends
    swapped: int  # its share of what is in swap, which `pss` leaves out
    cpu_seconds: float  # user and system, with those of its children that have ended


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """Processes and their descendants, each before its own."""

    processes: tuple[ProcessUsage, ...]

    @property
    def pss(self) -> int:
        """Bytes of memory that they occupy together."""
        return sum(process.pss for process in self.processes)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of processor time so far, with those of descendants that have ended."""
        return sum(process.cpu_seconds for process in self.processes)


def tree_usage(*pids: int) -> TreeUsage:
    """Measure processes and their descendants; those that end meanwhile are left out.

    Args:
        *pids: the processes at the roots, such as the worker's parent process.

    Returns:
        Nothing but an empty tree if there is no such process.

    Raises:
        PermissionError: the processes belong to somebody else.
    """
    stats = _all_stats()
    found = []
    waiting = list(pids)
    while waiting:
        current = waiting.pop(0)
        if current not in stats:
            continue
        waiting += sorted(child for child, stat in stats.items() if stat.parent == current)
        with suppress(FileNotFoundError, ProcessLookupError):
            found.append(_measure(current, stats[current]))
    return TreeUsage(tuple(found))


@dataclass(frozen=True, slots=True)
class _Stat:
    parent: int
    cpu_seconds: float


def _all_stats() -> dict[int, _Stat]:
    stats = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                stats[int(name)] = _read_stat(name)
    return stats


def _read_stat(pid: str) -> _Stat:
    with open(f"/proc/{pid}/stat", "rb") as file:
        # the name, in parentheses, may hold anything; behind it are numbers
        fields = file.read().rpartition(b")")[2].split()
    # proc(5) counts from 1, and `fields` begins with the third: 4 is ppid, 14 to 17 are times
    ticks = sum(int(field) for field in fields[11:15])
    return _Stat(parent=int(fields[1]), cpu_seconds=ticks / _TICKS_PER_SECOND)


def _measure(pid: int, stat: _Stat) -> ProcessUsage:
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        lines = file.read().splitlines()[1:]
    sizes = {line.split(b":")[0]: int(line.split()[1]) * _KIB for line in lines}
    return ProcessUsage(
        pid=pid,
        parent=stat.parent,
        pss=sizes[b"Pss"],
        private=sizes[b"Private_Clean"] + sizes[b"Private_Dirty"],
        swapped=sizes[b"SwapPss"],
        cpu_seconds=stat.cpu_seconds,
    )
