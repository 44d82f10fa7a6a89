"""Figures of the moment in Prometheus' text format."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from backend_worker.dashboard.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backend_worker.dashboard.services import Services

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float | None]


async def as_text(services: Services) -> str:
    """Return all figures; those of a server that is away are left out."""
    watch = services.watch
    answers = await asyncio.gather(
        watch.workers.get(),
        watch.queues.get(),
        watch.totals.get(),
        watch.scans.get(),
        return_exceptions=True,
    )
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, Refusal):
            raise answer
    workers, queues, totals, running = (
        None if isinstance(answer, Refusal) else answer for answer in answers
    )
    lines: list[str] = []
    add = _adder(lines)
    add("info", "gauge", "The program.", [({"version": version("backend-worker")}, 1)])
    add("redis_up", "gauge", "Whether Redis answers.", [({}, int(queues is not None))])
    add("postgresql_up", "gauge", "Whether PostgreSQL answers.", [({}, int(totals is not None))])
    if workers is not None:
        _add_workers(add, workers)
    if queues is not None:
        waiting = queues["waiting"].items()
        add("queued", "gauge", "Messages that wait.", [({"queue": q}, n) for q, n in waiting])
        add("under_way", "gauge", "Messages that workers have.", [({}, queues["under_way"])])
    if totals is not None:
        _add_library(add, totals)
    if running is not None:
        _add_scans(add, running)
    return "".join(lines)


def _add_workers(add: Any, workers: list[dict[str, Any]]) -> None:
    add("workers", "gauge", "Workers that answer.", [({}, len(workers))])
    for name, kind, key, doc in (
        ("processes", "gauge", "processes", "Processes of a worker."),
        ("processes_max", "gauge", "max_processes", "Most processes of a worker."),
        ("tasks_total", "counter", "tasks_done", "Tasks that a worker has done."),
        ("uptime_seconds", "gauge", "uptime_seconds", "Time since a worker started."),
        ("memory_bytes", "gauge", "memory_bytes", "Memory of a worker's unit."),
        ("memory_high_bytes", "gauge", "memory_high_bytes", "Limit that slows the unit down."),
        ("pss_bytes", "gauge", "pss_bytes", "Memory of a worker's processes, shared pages once."),
        ("temperature_celsius", "gauge", "temperature_c", "Temperature of the board."),
        ("scale_changes_total", "counter", "scale_changes", "Changes of the number of processes."),
    ):
        add(name, kind, doc, [({"worker": w["name"]}, w.get(key)) for w in workers])


def _add_library(add: Any, totals: dict[str, int]) -> None:
    for name, key, doc in (
        ("library_tracks", "tracks", "Tracks in the library."),
        ("library_albums", "albums", "Albums in the library."),
        ("library_artists", "artists", "Artists in the library."),
        ("library_covers", "covers", "Albums with a cover."),
        ("library_vectors", "vectors", "Tracks with a similarity vector."),
        ("library_seconds", "seconds", "Playing time of the library."),
        ("library_bytes", "bytes", "Size of the music files."),
        ("failed_files", "failed_files", "Files that could not be read."),
        ("gone_files", "gone_files", "Files that have vanished and are remembered."),
    ):
        add(name, "gauge", doc, [({}, totals[key])])


def _add_scans(add: Any, running: list[dict[str, Any]]) -> None:
    add("scans_running", "gauge", "Scans that run.", [({}, len(running))])
    samples = [
        ({"scan": str(scan["scan"]), "state": state}, scan[state])
        for scan in running
        for state in ("stored", "unchanged", "failed", "ignored", "waiting")
    ]
    add("scan_files", "gauge", "Files of a running scan, by what became of them.", samples)
    rates = [({"scan": str(scan["scan"])}, scan["rate"]) for scan in running]
    add("scan_files_per_second", "gauge", "Files that a running scan deals with.", rates)


def _adder(lines: list[str]) -> Any:
    def add(name: str, kind: str, doc: str, samples: Iterable[Sample]) -> None:
        known = [(labels, value) for labels, value in samples if value is not None]
        if not known:
            return
        name = f"backend_worker_{name}"
        lines.append(f"# HELP {name} {doc}\n# TYPE {name} {kind}\n")
        for labels, value in known:
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            lines.append(f"{name}{{{inner}}} {value}\n" if inner else f"{name} {value}\n")

    return add


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
