"""What the board bears: memory, pressure and temperature, as far as the kernel tells.

Each figure is missing somewhere: in a container, on a laptop, with pressure accounting or the
memory controller switched off. A missing one is None; reading never fails.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass

_V2 = "sys/fs/cgroup"
_V1 = "sys/fs/cgroup/memory"
# cgroup v1 writes "no limit" as the largest multiple of the page size
_NO_LIMIT_V1 = 1 << 62
_KIB = 1024


@dataclass(frozen=True, slots=True)
class BoardState:
    """One look at the board.

    Attributes:
        memory_bytes: what the unit's control group holds and cannot give back at once; the
            page cache of files that were read is not counted. Without a limit on the group:
            what the whole board uses.
        memory_high_bytes: where the kernel begins to slow the unit down (``MemoryHigh=``), or
            else its limit, or else the board's memory.
        memory_of: which of these it is: "high", "max" or "the board".
        memory_pressure: percent of the last ten seconds in which some task waited for memory.
        cpu_pressure: percent of the last ten seconds in which some task waited for a processor.
        temperature_c: degrees Celsius of the processor.
    """

    memory_bytes: int | None = None
    memory_high_bytes: int | None = None
    memory_of: str = "high"
    memory_pressure: float | None = None
    cpu_pressure: float | None = None
    temperature_c: float | None = None

    @property
    def memory_percent(self) -> float | None:
        """The memory in percent of what it may be."""
        if self.memory_bytes is None or not self.memory_high_bytes:
            return None
        return 100 * self.memory_bytes / self.memory_high_bytes

    def missing(self) -> tuple[str, ...]:
        """Return the names of the figures that this board does not have."""
        figures = {
            "memory": self.memory_percent,
            "memory pressure": self.memory_pressure,
            "cpu pressure": self.cpu_pressure,
            "temperature": self.temperature_c,
        }
        return tuple(name for name, value in figures.items() if value is None)


class Board:
    """Reads the kernel's figures; where they are is found out once.

    Args:
        root: the folder that holds ``proc`` and ``sys``; another than ``/`` in tests.
    """

    def __init__(self, root: str = "/") -> None:
        self._root = root
        groups = self._own_groups()
        self._groups_v2 = self._existing(_V2, groups.get(""), "memory.current")
        self._groups_v1 = self._existing(_V1, groups.get("memory"), "memory.usage_in_bytes")
        self._zones = self._cpu_zones()

    def observe(self) -> BoardState:
        """Look at the board now."""
        used, high, kind = self._unit_memory() or self._board_memory() or (None, None, "high")
        return BoardState(
            memory_bytes=used,
            memory_high_bytes=high,
            memory_of=kind,
            memory_pressure=self._memory_pressure(),
            cpu_pressure=self._pressure("proc/pressure/cpu"),
            temperature_c=self._temperature(),
        )

    def _unit_memory(self) -> tuple[int, int, str] | None:
        # the innermost group that has a limit: the unit's own, a slice's, a container's
        for group in self._groups_v2:
            for kind in ("high", "max"):
                limit = self._number(f"{group}/memory.{kind}")
                used = self._number(f"{group}/memory.current")
                if limit is not None and used is not None:
                    cache = self._field(f"{group}/memory.stat", "inactive_file") or 0
                    return max(used - cache, 0), limit, kind
        for group in self._groups_v1:
            limit = self._number(f"{group}/memory.limit_in_bytes")
            used = self._number(f"{group}/memory.usage_in_bytes")
            if limit is not None and used is not None and limit < _NO_LIMIT_V1:
                cache = self._field(f"{group}/memory.stat", "total_inactive_file") or 0
                return max(used - cache, 0), limit, "max"
        return None

    def _board_memory(self) -> tuple[int, int, str] | None:
        total = self._field("proc/meminfo", "MemTotal:")
        available = self._field("proc/meminfo", "MemAvailable:")
        if not total or available is None:
            return None
        return (total - available) * _KIB, total * _KIB, "the board"

    def _memory_pressure(self) -> float | None:
        for group in self._groups_v2[:1]:
            pressure = self._pressure(f"{group}/memory.pressure")
            if pressure is not None:
                return pressure
        return self._pressure("proc/pressure/memory")

    def _temperature(self) -> float | None:
        degrees = [value for zone in self._zones if (value := self._number(zone)) is not None]
        return max(degrees) / 1000 if degrees else None

    def _cpu_zones(self) -> tuple[str, ...]:
        folders = sorted(
            glob.glob("sys/class/thermal/thermal_zone*", root_dir=self._root),
        )
        of_cpu = [folder for folder in folders if "cpu" in (self._read(f"{folder}/type") or "")]
        return tuple(f"{folder}/temp" for folder in of_cpu or folders)

    def _own_groups(self) -> dict[str, str]:
        """Return this process's control group by controller; version 2 has an empty name."""
        groups = {}
        for line in (self._read("proc/self/cgroup") or "").splitlines():
            number, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            for controller in controllers.split(","):
                if controller or number == "0":
                    groups[controller] = path.strip("/")
        return groups

    def _existing(self, mount: str, path: str | None, figure: str) -> tuple[str, ...]:
        """Return the group's folder and those above it, as far as they have the figure."""
        if path is None:
            return ()
        parts = path.split("/") if path else []
        folders = ["/".join([mount, *parts[:depth]]) for depth in range(len(parts), -1, -1)]
        return tuple(folder for folder in folders if self._read(f"{folder}/{figure}") is not None)

    def _pressure(self, name: str) -> float | None:
        # some avg10=0.12 avg60=0.05 avg300=0.01 total=123456
        for line in (self._read(name) or "").splitlines():
            kind, _, rest = line.partition(" ")
            if kind == "some" and rest.startswith("avg10="):
                return _float(rest.split()[0].removeprefix("avg10="))
        return None

    def _field(self, name: str, field: str) -> int | None:
        for line in (self._read(name) or "").splitlines():
            words = line.split()
            if len(words) > 1 and words[0] == field:
                return _int(words[1])
        return None

    def _number(self, name: str) -> int | None:
        text = self._read(name)
        return None if text is None else _int(text)  # "max" is no number

    def _read(self, name: str) -> str | None:
        try:
            with open(os.path.join(self._root, name), encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:  # not there, not ours, or switched off (EOPNOTSUPP)
            return None


def _int(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
