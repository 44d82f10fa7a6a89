"""Small against large: does a file take longer, or the worker more, when there are many?"""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.figures import summarise
from benchmarks.lab import Lab, isolated
from benchmarks.libraries import made_up, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUESTIONS = 200


def run(
    cache: Path, *, sizes: tuple[int, ...], runs: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """Measure libraries of several sizes."""
    found: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(1, runs + 1):
        for size in sizes:
            say(f"small against large: {size:,} tracks, run {number} of {runs}")
            library = made_up(cache, size)
            found[size].append(isolated(measure, library, cache))
    return {
        "runs": runs,
        "questions": QUESTIONS,
        "sizes": {str(size): summarise(values) for size, values in found.items()},
    }


def measure(library: Path, cache: Path) -> dict[str, float]:
    """Scan a library twice, then ask it."""
    values: dict[str, float] = {}
    with Lab(cache / "lab") as lab:
        warm(library)
        lab.start_one()
        with lab.meter() as meter:
            status = lab.scan(library)
            values |= {"first_seconds": status.seconds, "tracks": float(status.stored)}
            values |= {f"first_{name}_cpu_seconds": cpu for name, cpu in meter.cpu().items()}
            lab.settle()
            values["all_done_seconds"] = meter.elapsed
            values |= {f"all_done_{name}_cpu_seconds": cpu for name, cpu in meter.cpu().items()}
        values |= {f"peak_{name}_pss": peak for name, peak in meter.peak_pss.items()}
        # twice: the first one after so many changes meets what PostgreSQL has to clean up
        lab.scan(library)
        lab.settle()
        with lab.meter() as meter:
            status = lab.scan(library)
            values["unchanged_seconds"] = status.seconds
            values |= {f"unchanged_{name}_cpu_seconds": cpu for name, cpu in meter.cpu().items()}
            lab.settle()
        values |= {f"unchanged_peak_{name}_pss": peak for name, peak in meter.peak_pss.items()}
        values |= _questions()
    return values


def _questions() -> dict[str, float]:
    """Ask for similar tracks and search; return the medians and the slowest of a hundred."""
    from backend_worker.storage import search  # noqa: PLC0415 - settings come first

    chance = random.Random(1)  # the same questions each time
    tracks = list(_some_tracks(chance))
    similar = [_milliseconds(search.similar, track["id"]) for track in tracks]
    words = [_words(track, number) for number, track in enumerate(tracks)]
    searched = [_milliseconds(search.search, text) for text in words]
    return {
        "similar_milliseconds": statistics.median(similar),
        "similar_p99_milliseconds": statistics.quantiles(similar, n=100)[-1],
        "search_milliseconds": statistics.median(searched),
        "search_p99_milliseconds": statistics.quantiles(searched, n=100)[-1],
    }


def _some_tracks(chance: random.Random) -> Iterator[dict[str, Any]]:
    from backend_worker.storage import search  # noqa: PLC0415 - settings come first

    # numbers begin at one, and nothing was ever taken away
    last = search.totals()["tracks"]
    for _ in range(QUESTIONS):
        track = search.track(chance.randint(1, last))
        if track is not None:
            yield track


def _words(track: dict[str, Any], number: int) -> str:
    """Return what a person types: a title, an artist and a word of it, or one with a typo."""
    title, artist = track["title"], track["artist"] or ""
    longest = max(title.split() or [title], key=len)
    typo = longest[: len(longest) // 2] + longest[len(longest) // 2 + 1 :]
    return (title, f"{artist} {longest[:4]}", typo)[number % 3]


def _milliseconds(ask: Callable[..., object], *question: object) -> float:
    started = time.perf_counter()
    ask(*question)
    return (time.perf_counter() - started) * 1000
