"""Us against others on the same files: first scan, unchanged rescan, one in a hundred changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING, Any

from benchmarks.figures import summarise
from benchmarks.installing import MissingProgramError
from benchmarks.lab import isolated
from benchmarks.libraries import (
    can_drop_caches,
    change_one_percent,
    drop_caches,
    made_up,
    view_of,
    warm,
)
from benchmarks.rivals import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def run(
    cache: Path,
    *,
    tracks: int,
    runs: dict[str, int],
    install: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Measure every program in turn, run by run.

    Args:
        cache: folder for libraries, programs and their states.
        tracks: size of the library.
        runs: how many ``cold`` (the page cache is emptied before each step) and how many
            ``warm`` (it holds all files).
        install: programs that are not there may be installed from Debian.
        say: told what is being done.

    Returns:
        The programs' figures by name, and what was ``left_out`` with the reason.
    """
    library = made_up(cache, tracks)
    versions, left_out = _versions(cache, install=install)
    if runs["cold"] and not can_drop_caches():
        left_out["cold runs"] = "only root may empty the page cache"
        runs = runs | {"cold": 0}
    found: dict[str, dict[str, list[dict[str, float]]]] = {}
    for state, wanted in runs.items():
        for number in range(1, wanted + 1):
            for name in list(versions):
                say(f"us against others: {name}, {state}, run {number} of {wanted}")
                try:
                    values = isolated(measure, name, library, cache, state == "cold")
                except (RuntimeError, OSError, sqlite3.Error) as error:
                    # a table that others read has no paths of this machine
                    left_out[name] = str(error).replace(f"{cache}/", "")
                    del versions[name]
                    found.pop(name, None)
                    continue
                found.setdefault(name, {}).setdefault(state, []).append(values)
    return {
        "tracks": tracks,
        "left_out": left_out,
        "runs": runs,
        "processes": len(os.sched_getaffinity(0)),
        "subjects": {
            name: {
                "version": versions[name],
                **{state: summarise(values) for state, values in states.items()},
            }
            for name, states in found.items()
        },
    }


def _versions(cache: Path, *, install: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Install what is not there yet; return the versions, and what cannot be had and why."""
    versions, left_out = {}, {}
    for name, program in PROGRAMS.items():
        try:
            versions[name] = program(cache).prepare(install=install)
        except MissingProgramError as error:
            left_out[name] = str(error)
    return versions, left_out


def measure(name: str, library: Path, cache: Path, cold: bool) -> dict[str, float]:
    """Let one program scan a fresh view of the library, again, and again after a change."""
    state = cache / "program"
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
    before = drop_caches if cold else lambda: warm(view)
    try:
        with view_of(library, cache / "view") as view, PROGRAMS[name](cache) as program:
            program.start(view, state)
            before()
            values = _named("first", program.first_scan())
            values["tracks"] = float(program.tracks())
            if program.can_rescan:
                before()
                values |= _named("unchanged", program.rescan())
                change_one_percent(view)
                before()
                values |= _named("changed", program.rescan())
    finally:
        shutil.rmtree(state, ignore_errors=True)
    return values


def _named(step: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{step}_{name}": value for name, value in values.items()}
