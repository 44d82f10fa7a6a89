"""Run the benchmarks, or write what they found into the README.

``python -m benchmarks run --scale quick`` and ``python -m benchmarks table``; `make bench` and
`make bench-table` call them.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import machine, nine, others, plots, report, size, stages
from benchmarks.installing import MissingProgramError

if TYPE_CHECKING:
    from collections.abc import Callable

SECTIONS = ("nine", "others", "size", "stages")
CACHE = machine.ROOT / ".run" / "benchmarks"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    nine_tracks: int
    nine_runs: int
    idle_seconds: float
    others_tracks: int
    others_runs: dict[str, int]
    sizes: tuple[int, ...]
    size_runs: int
    stages_tracks: int


SCALES = {
    # to see that it works, as on an emulated processor
    "tiny": Scale(200, 1, 3.0, 200, {"cold": 0, "warm": 1}, (100, 200), 1, 200),
    # ten minutes on two cores
    "quick": Scale(2_000, 3, 8.0, 2_000, {"cold": 1, "warm": 3}, (1_000, 5_000), 1, 2_000),
    "full": Scale(
        10_000,
        3,
        30.0,
        10_000,
        {"cold": 3, "warm": 3},
        (1_000, 10_000, 50_000, 100_000),
        3,
        10_000,
    ),
}


def main() -> int:
    """Do what the command line says; return the exit code."""
    options = _parser().parse_args()
    if options.command == "table":
        report.put_into_readme(report.readme_block(report.recorded()))
        return 0
    folder = options.results or report.RESULTS / options.scale
    results = run(options, folder)
    say(f"written to {folder}; `make bench-table` puts the table into the README")
    for target in report.targets(results):
        print(f"{'met   ' if target.met else 'MISSED'}  {target.text}: {target.measured}")
    return 0


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure what the options ask for; what is done is written after each section."""
    options.cache = options.cache.resolve()  # programs run in folders of their own
    options.cache.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    scale = SCALES[options.scale]
    if options.runs:
        runs = {kind: often and options.runs for kind, often in scale.others_runs.items()}
        scale = replace(scale, nine_runs=options.runs, others_runs=runs, size_runs=options.runs)
    results = {
        "scale": options.scale,
        **machine.record(emulated=options.emulated),
        "left_out": {},
        "sections": {},
    }
    for name in options.only:
        try:
            section = _measure(name, scale, options)
        except MissingProgramError as error:
            results["left_out"][name] = str(error)
            continue
        flame = section.pop("flame", None)
        results["left_out"] |= section.pop("left_out", {})
        results["sections"][name] = section
        results["minutes"] = round((time.monotonic() - started) / 60, 1)
        folder.mkdir(parents=True, exist_ok=True)
        if flame:
            (folder / "flame.svg").write_text(flame, encoding="utf-8")
        try:
            plots.draw(results, folder)
        except ImportError:
            results["left_out"]["plots"] = "matplotlib is not installed"
        report.write(results, folder)
    return results


def _measure(name: str, scale: Scale, options: argparse.Namespace) -> dict[str, Any]:
    cache = options.cache
    sections: dict[str, Callable[[], dict[str, Any]]] = {
        "nine": lambda: nine.run(
            cache,
            tracks=scale.nine_tracks,
            runs=scale.nine_runs,
            idle_seconds=scale.idle_seconds,
            say=say,
        ),
        "others": lambda: others.run(
            cache,
            tracks=scale.others_tracks,
            runs=scale.others_runs,
            install=not options.no_install,
            say=say,
        ),
        "size": lambda: size.run(cache, sizes=scale.sizes, runs=scale.size_runs, say=say),
        "stages": lambda: stages.run(cache, tracks=scale.stages_tracks, say=say),
    }
    return sections[name]()


def say(text: str) -> None:
    """Tell what is being done, and when."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("table", help="write the newest results into the README")
    measure = commands.add_parser("run", help="measure")
    measure.add_argument("--scale", choices=SCALES, default="quick", help="how much (quick)")
    measure.add_argument(
        "--only", nargs="+", choices=SECTIONS, default=SECTIONS, help="not everything"
    )
    measure.add_argument("--runs", type=int, help="how often (each scale has its own)")
    measure.add_argument(
        "--cache", type=Path, default=CACHE, help="libraries and programs stay here"
    )
    measure.add_argument("--results", type=Path, help="where to write (benchmarks/results/SCALE)")
    measure.add_argument(
        "--no-install", action="store_true", help="leave out what Debian would have to bring"
    )
    measure.add_argument(
        "--emulated", action="store_true", help="mark the figures: the processor is emulated"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
