"""Plots of the results, as SVG and PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.figures import MIB
from benchmarks.report import NINE_ROWS, per_file

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

INCHES = (7.2, 3.6)
DOTS_PER_INCH = 80
OURS, OTHERS, SECOND = "#e4572e", "#8d99ae", "#2b2d42"
# What both axes of "nine against one" can show: parts of the nine's figure.
_NINE_SHOWN = (
    "idle_worker_pss",
    "after_worker_pss",
    "peak_worker_pss",
    "scan_seconds",
    "all_cpu_seconds",
    "idle_worker_wakeups",
    "scan_redis_operations",
)


def draw(results: dict[str, Any], folder: Path) -> None:
    """Write a plot for each section of the results.

    Raises:
        ImportError: matplotlib is not installed (``pip install '.[bench]'``).
    """
    import matplotlib as mpl  # noqa: PLC0415 - tables need no matplotlib

    mpl.use("Agg")
    # the same results, the same bytes; and text as text keeps the files small
    mpl.rcParams.update({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9})
    kinds = {"nine": _nine, "others": _others, "size": _size, "stages": _stages}
    for name, section in results["sections"].items():
        _save(kinds[name], section, folder / name, emulated=results["machine"]["emulated"])


def _save(draw_section: Any, section: dict[str, Any], path: Path, *, emulated: bool) -> None:
    from matplotlib import pyplot  # noqa: PLC0415 - as above

    figure, axes = pyplot.subplots(figsize=INCHES, layout="constrained")
    draw_section(axes, section)
    if emulated:
        figure.suptitle("emulated: times say nothing of a real processor", color=OURS)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(path.with_suffix(".png"), dpi=DOTS_PER_INCH)
    pyplot.close(figure)


def _nine(axes: Axes, section: dict[str, Any]) -> None:
    nine, one = section["subjects"]["nine"], section["subjects"]["one"]
    texts = {name: text for text, name in NINE_ROWS}
    names = [name for name in reversed(_NINE_SHOWN) if name in nine and name in one]
    shares = [one[name]["median"] / (nine[name]["median"] or 1) * 100 for name in names]
    bars = axes.barh([texts[name] for name in names], shares, color=OURS)
    axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.axvline(100, color=SECOND, linewidth=1, linestyle="--")
    axes.set_xlabel(f"one worker, % of nine services ({section['tracks']:,} tracks)")


def _others(axes: Axes, section: dict[str, Any]) -> None:
    rows = [
        (name, subject["warm"])
        for name, subject in reversed(section["subjects"].items())
        if "warm" in subject
    ]
    names = [name for name, _ in rows]
    for offset, kind, colour in ((0.2, "wall", OURS), (-0.2, "cpu", OTHERS)):
        figures = [values[f"first_{kind}_seconds"] for _, values in rows]
        axes.barh(
            [place + offset for place in range(len(names))],
            [figure["median"] for figure in figures],
            xerr=_spread(figures),
            height=0.38,
            color=colour,
            label={"wall": "time", "cpu": "CPU seconds"}[kind],
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xscale("log")
    axes.set_xlabel(f"seconds for a first scan of {section['tracks']:,} tracks, files in memory")
    axes.legend(frameon=False)


def _size(axes: Axes, section: dict[str, Any]) -> None:
    sizes = list(section["sizes"].values())
    tracks = [figures["tracks"]["median"] for figures in sizes]
    for name, text, colour in (
        ("first_seconds", "first scan, time", OURS),
        ("first_all_cpu_seconds", "first scan, CPU", OTHERS),
    ):
        figures = [per_file(size, name) for size in sizes]
        axes.errorbar(
            tracks,
            [figure["median"] for figure in figures],
            yerr=_spread(figures),
            marker="o",
            color=colour,
            label=text,
        )
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("tracks in the library")
    axes.set_ylabel("ms for each file")
    memory = axes.twinx()
    memory.plot(
        tracks,
        [size["peak_worker_pss"]["median"] / MIB for size in sizes],
        marker="s",
        color=SECOND,
        linestyle="--",
    )
    memory.set_ylim(bottom=0)
    memory.set_ylabel("worker's most memory, MiB (dashed)")
    axes.legend(frameon=False, loc="lower left")


def _stages(axes: Axes, section: dict[str, Any]) -> None:
    rows = {name: stage["cpu_seconds"]["median"] for name, stage in section["stages"].items()}
    rows |= {
        f"server: {name}": server["cpu_seconds"]["median"]
        for name, server in section["servers"].items()
    }
    ordered = sorted(rows.items(), key=lambda item: item[1])
    bars = axes.barh(
        [name for name, _ in ordered],
        [seconds for _, seconds in ordered],
        color=[OTHERS if name.startswith("server") else OURS for name, _ in ordered],
    )
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlabel(f"CPU seconds in a first scan of {section['tracks']:,} tracks")


def _spread(figures: list[dict[str, Any]]) -> list[list[float]]:
    return [
        [figure["median"] - figure["low"] for figure in figures],
        [figure["high"] - figure["median"] for figure in figures],
    ]
