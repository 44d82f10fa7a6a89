"""Figures: what several runs gave, summed up as median and spread, and how they are written."""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIB = 1024 * 1024

# The units that a run's values are measured in, by the last word of their names.
UNITS = {
    "seconds": "s",
    "pss": "B",
    "bytes": "B",
    "wakeups": "1/s",
    "operations": "",
    "percent": "%",
    "milliseconds": "ms",
    "processes": "",
    "tracks": "",
}


def summarise(runs: Iterable[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Turn the values of several runs into one figure for each name.

    A run may lack a value; a name that no run has gives no figure.

    Returns:
        For each name its unit, the median, the lowest and the highest value, and all of them in
        the order of the runs.

    Raises:
        KeyError: a name does not end in one of :data:`UNITS`.
    """
    values: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        for name, value in run.items():
            values[name].append(value)
    return {name: figure(UNITS[name.split("_")[-1]], all_) for name, all_ in values.items()}


def figure(unit: str, values: list[float]) -> dict[str, Any]:
    """Return one figure of at least one value."""
    values = [round(value, 6) for value in values]
    return {
        "unit": unit,
        "median": statistics.median(values),
        "low": min(values),
        "high": max(values),
        "values": values,
    }


def shown(value: dict[str, Any] | None) -> str:
    """Return a figure as a table has it: the median, and the spread if there is any."""
    if value is None:
        return "-"
    unit = value["unit"]
    scale, unit = (1 / MIB, "MiB") if unit == "B" else (1.0, unit)
    median, low, high = (value[name] * scale for name in ("median", "low", "high"))
    text = f"{number(median)} {unit}".rstrip()
    if number(low) == number(high):
        return text
    return f"{text} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Return a number with three digits that count, and thousands set apart."""
    if value == int(value):
        return f"{value:,.0f}"
    magnitude = abs(value)
    for limit, digits in ((0.0995, 3), (9.95, 2), (99.5, 1)):
        if magnitude < limit:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"


def ratio(value: dict[str, Any] | None, baseline: dict[str, Any] | None) -> float | None:
    """Return how many times the baseline a figure is: the median of the runs' ratios.

    Each run is compared with the baseline of the same run, so that a machine which changes its
    pace from run to run does not blur it. None where either is missing or the baseline is 0.
    """
    if value is None or baseline is None:
        return None
    pairs = zip(value["values"], baseline["values"], strict=False)  # a run may have failed
    ratios = [one / other for one, other in pairs if other]
    return statistics.median(ratios) if ratios else None
