"""How many processes there should be: a pure function of what is seen.

Work makes more processes at once, the lack of it fewer after a while. A shortage of the board
sets a bound that goes down step by step; when all is well again for a while it goes up, and the
while gets longer each time that this was too early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.worker.board import BoardState

LONGEST_HOLD_SECONDS = 600.0


class Band(NamedTuple):
    """A shortage begins above one value and is over only below the other."""

    above: float
    below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the owner allows.

    Attributes:
        fewest: processes, at least one.
        most: processes.
        idle_seconds: for so long fewer processes must have been enough before some go.
        memory_percent: of what the unit may use.
        memory_pressure: percent of time.
        cpu_pressure: percent of time.
        cpu_fewest: processes that cpu pressure leaves: a scan that fills the board makes most
            of that pressure itself, and the unit's CPUWeight= lets others go first anyway.
        temperature_c: degrees Celsius.
        step_seconds: between two steps down.
        hold_seconds: for which all must be well before a step up.
    """

    fewest: int
    most: int
    idle_seconds: float
    memory_percent: Band
    memory_pressure: Band
    cpu_pressure: Band
    cpu_fewest: int
    temperature_c: Band
    step_seconds: float
    hold_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What is seen at one moment.

    Attributes:
        now: seconds of a clock that never goes back.
        running: processes that there are; more than decided while tasks have to end first.
        reserved: tasks that the worker has taken.
        waiting: messages that wait in Redis.
        board: what the board says.
    """

    now: float
    running: int
    reserved: int
    waiting: int = 0
    board: BoardState

    @property
    def demand(self) -> int:
        """Tasks to be done."""
        return self.reserved + self.waiting


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered from one decision to the next.

    Attributes:
        processes: as decided last.
        bound: most processes that the board bears; None while nothing is short.
        because: what made the bound, for people.
        stepped_at: when the bound went down last.
        raised_at: when it went up last.
        calm_since: since when all has been well.
        hold_seconds: for which all must be well before the next step up; 0 at first.
        wanted_at: when so many processes (index + 1) were last wanted.
    """

    processes: int
    bound: int | None = None
    because: str = ""
    stepped_at: float = -math.inf
    raised_at: float = -math.inf
    calm_since: float | None = None
    hold_seconds: float = 0.0
    wanted_at: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be.

    Attributes:
        processes: so many.
        bound: and not more than so many, whatever comes.
        reason: why their number changes, for people; empty if it does not.
        shortage: the board is why.
        held_back: why there are no more than before, although there is work for more.
        memory: for the next decision.
    """

    processes: int
    bound: int
    reason: str
    shortage: bool
    held_back: str
    memory: Memory


def decide(memory: Memory, sight: Sight, limits: Limits) -> Decision:
    """Decide how many processes there should be, after what is remembered, seen and allowed."""
    memory = _with_bound(memory, sight, limits)
    bound = limits.most if memory.bound is None else memory.bound
    wanted_at = _wanted_at(memory, sight, limits)
    enough = max(
        (n for n, when in enumerate(wanted_at, 1) if sight.now - when < limits.idle_seconds),
        default=0,
    )
    wanted = max(min(sight.demand, limits.most), limits.fewest)
    before = processes = memory.processes
    reason, shortage = "", False
    if not limits.fewest <= before <= limits.most:
        processes = max(min(before, bound), limits.fewest)
        reason = f"limits {limits.fewest} to {limits.most}"
    elif before > bound:
        processes, reason, shortage = bound, memory.because, True
    elif before > max(enough, limits.fewest):
        processes = max(enough, limits.fewest)
        what = f"no more than {enough} busy" if enough else "idle"
        reason = f"{what} for {limits.idle_seconds:g} s"
    work = f"{sight.demand} queued"
    if wanted > bound:
        work += f", at most {bound} after {memory.because}"
    if min(wanted, bound) > processes:
        processes, reason = min(wanted, bound), work
    return Decision(
        processes=processes,
        bound=bound,
        reason=reason if processes != before else "",
        shortage=shortage,
        held_back=work if processes == before and wanted > bound else "",
        memory=replace(memory, processes=processes, wanted_at=wanted_at),
    )


def _wanted_at(memory: Memory, sight: Sight, limits: Limits) -> tuple[float, ...]:
    known = dict(enumerate(memory.wanted_at, 1))
    return tuple(
        sight.now if n <= sight.demand else known.get(n, -math.inf)
        for n in range(1, limits.most + 1)
    )


def _with_bound(memory: Memory, sight: Sight, limits: Limits) -> Memory:
    """Return the memory with the bound that the board sets."""
    bound = limits.most if memory.bound is None else memory.bound
    bound = max(min(bound, limits.most), limits.fewest)
    hold = max(memory.hold_seconds, limits.hold_seconds)
    shortages = list(_shortages(sight.board, limits, bound))
    if shortages:
        memory = replace(memory, calm_since=None)
        steps, because, leaves = max(shortages, key=lambda shortage: shortage[0])
        # the last step must have been made, and shown what it brings
        if (
            bound == limits.fewest
            or sight.running > bound
            or sight.now - memory.stepped_at < limits.step_seconds
        ):
            return memory
        return replace(
            memory,
            bound=min(bound, max(min(bound, memory.processes) - steps, leaves, limits.fewest)),
            because=because,
            stepped_at=sight.now,
            hold_seconds=_next_hold(memory, sight.now, hold, limits.hold_seconds),
        )
    if memory.bound is None:
        return memory
    if not _all_well(sight.board, limits):
        return replace(memory, calm_since=None)
    calm_since = sight.now if memory.calm_since is None else memory.calm_since
    if sight.now - calm_since < hold:
        return replace(memory, calm_since=calm_since)
    return replace(
        memory,
        bound=bound + 1 if bound + 1 < limits.most else None,
        raised_at=sight.now,
        calm_since=sight.now,
    )


def _next_hold(memory: Memory, now: float, hold: float, shortest: float) -> float:
    if memory.raised_at < memory.stepped_at:  # another step of the same shortage
        return hold
    too_early = now - memory.raised_at < 2 * hold
    return min(2 * hold, LONGEST_HOLD_SECONDS) if too_early else shortest


def _shortages(board: BoardState, limits: Limits, bound: int) -> Iterator[tuple[int, str, int]]:
    """Yield what is short while so many may be.

    How many processes are too many, words for it, and how many it leaves in any case.
    """
    percent, band = board.memory_percent, limits.memory_percent
    if percent is not None and percent > band.above:
        # the nearer to the limit, the more at once: 1, 2 or 3
        third = max((100 - band.above) / 3, 1.0)
        steps = 1 + int((percent - band.above) / third)
        yield steps, f"memory {percent:.0f} % of {board.memory_of}", 1
    pressure = board.memory_pressure
    if pressure is not None and pressure > limits.memory_pressure.above:
        yield 1, f"memory pressure {pressure:.0f} %", 1
    degrees = board.temperature_c
    if degrees is not None and degrees > limits.temperature_c.above:
        yield 1, f"{degrees:.0f} °C", 1
    pressure = board.cpu_pressure
    if bound > limits.cpu_fewest and pressure is not None and pressure > limits.cpu_pressure.above:
        yield 1, f"cpu pressure {pressure:.0f} %", limits.cpu_fewest


def _all_well(board: BoardState, limits: Limits) -> bool:
    figures = (
        (board.memory_percent, limits.memory_percent),
        (board.memory_pressure, limits.memory_pressure),
        (board.cpu_pressure, limits.cpu_pressure),
        (board.temperature_c, limits.temperature_c),
    )
    return all(value is None or value < band.below for value, band in figures)
