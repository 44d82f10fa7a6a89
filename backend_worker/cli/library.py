"""``status``, ``search``, ``similar`` and ``failures``: questions to the library."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from backend_worker.cli import output, prometheus
from backend_worker.cli.errors import Exit, UserError
from backend_worker.storage import scans
from backend_worker.storage import search as library

if TYPE_CHECKING:
    import argparse

SCALE_EVENTS_SHOWN = 5
LEFT_OUT_SHOWN = 12


def search(args: argparse.Namespace) -> Exit:
    """Find tracks by words of title, artist and album."""
    text = " ".join(args.text)
    tracks = library.search(text, args.limit)
    if args.json:
        output.print_json(tracks)
    elif tracks:
        show_tracks(f"{len(tracks)} tracks for “{text}”", tracks)
    else:
        output.print_line(f"no track matches “{text}”")
    return Exit.OK if tracks else Exit.NOT_FOUND


def similar(args: argparse.Namespace) -> Exit:
    """Show the tracks nearest to one."""
    words = " ".join(args.track)
    found = library.find_tracks(words)
    if not found:
        raise UserError(f"no track matches “{words}”", Exit.NOT_FOUND)
    track = found[0]
    try:
        tracks = library.similar(track["id"], args.limit)
    except LookupError as error:
        raise UserError(str(error), Exit.NOT_FOUND) from error
    if args.json:
        output.print_json({"track": track, "similar": tracks})
    else:
        title = f"most like {track['title']} by {track['artist'] or 'unknown'}"
        show_tracks(title, tracks, score=True)
    return Exit.OK if tracks else Exit.NOT_FOUND


def show_tracks(title: str, tracks: list[dict[str, Any]], *, score: bool = False) -> None:
    """Print tracks as a table."""
    columns = ["id", "artist", "title", "album", "year", "genre", "length"]
    rows = [
        [
            track["id"],
            track["artist"],
            track["title"],
            track["album"],
            (track["date"] or "")[:4],
            ", ".join(track["genres"]),
            output.duration(track["duration"]),
        ]
        for track in tracks
    ]
    if score:
        columns.append("alike")
        rows = [[*row, f"{track['score']:.2f}"] for row, track in zip(rows, tracks, strict=True)]
    output.print_table(title, columns, rows, right=("id", "length", "alike"))


def failures(args: argparse.Namespace) -> Exit:
    """Show the files that could not be read, and why."""
    rows = library.failures(args.limit)
    if args.json:
        output.print_json(rows)
    elif rows:
        output.print_table(
            f"{len(rows)} files could not be read; `backend-worker retry` tries again",
            ["path", "bytes", "reason"],
            [[row["path"], row["size"], row["reason"]] for row in rows],
            right=("bytes",),
        )
    else:
        output.print_line("every file could be read")
    return Exit.OK


def status(args: argparse.Namespace) -> Exit:
    """Show the worker, its queues, the newest scans and the library's size."""
    from backend_worker.cli.workers import running_workers  # noqa: PLC0415 - imports Celery
    from backend_worker.tasks import broker  # noqa: PLC0415 - as above

    report = {
        "workers": running_workers(),
        "queues": broker.queue_lengths(),
        "under_way": len(broker.taken_queues()),
        "scans": [scan.as_dict() for scan in scans.recent()],
        "library": library.totals(),
    }
    if args.prometheus:
        output.print_text(prometheus.text(report))
    elif args.json:
        output.print_json(report)
    else:
        _show_status(report)
    return Exit.OK if report["workers"] else Exit.SERVER_AWAY


def _facts(worker: dict[str, Any]) -> dict[str, str]:
    """Return what a person wants to know of a worker, without what its board does not tell."""
    facts = {
        "processes": f"{worker['processes']} of {worker['min_processes']} to "
        f"{worker['max_processes']}, {worker['busy_processes']} busy",
        "tasks done": f"{worker['tasks_done']:,} in {output.duration(worker['uptime_seconds'])}",
    }
    if memory := _memory(worker):
        facts["memory"] = memory
    if worker["cpu_seconds"] is not None:
        facts["processor time"] = output.duration(worker["cpu_seconds"])
    if worker["temperature_c"] is not None:
        facts["temperature"] = f"{worker['temperature_c']:.0f} °C"
    pressures = {"memory": worker["memory_pressure"], "processor": worker["cpu_pressure"]}
    waiting = [f"{name} {value:.0f} %" for name, value in pressures.items() if value is not None]
    if waiting:
        facts["waiting for"] = ", ".join(waiting)
    if worker["hanging_folders"]:
        facts["waits"] = "\n".join(hang["sentence"] for hang in worker["hanging_folders"])
    for scan in worker["scans"]:
        facts[f"scan {scan['scan_id']}"] = _how_far(scan)
    changes = worker["scale_history"][-SCALE_EVENTS_SHOWN:]
    if changes:
        facts["scale events"] = "\n".join(_scale_event(change) for change in changes)
    return facts


def _scale_event(change: dict[str, Any]) -> str:
    when = datetime.fromtimestamp(change["time"]).astimezone()
    return f"{when:%H:%M:%S} {change['before']}→{change['after']}: {change['reason']}"


def _memory(worker: dict[str, Any]) -> str:
    parts = []
    if worker["pss_bytes"] is not None:
        parts.append(f"{_mb(worker['pss_bytes'])} MB in all its processes")
    if worker["memory_bytes"] is not None:
        used, high = _mb(worker["memory_bytes"]), _mb(worker["memory_high_bytes"])
        where = "the board" if worker["memory_of"] == "the board" else "its control group"
        parts.append(f"{used} of {high} MB in {where}")
    return "; ".join(parts)


def _mb(size: int) -> int:
    return round(size / 1e6)


def _how_far(scan: dict[str, Any]) -> str:
    speed = f"{scan['files_per_second']:.0f} files/s"
    if scan["percent"] is None:
        return f"{scan['found']:,} files found so far, {speed}, in {scan['folder']}"
    return ", ".join(filter(None, (f"{scan['percent']} %", speed, scan["time_left"])))


def _show_status(report: dict[str, Any]) -> None:
    if report["workers"]:
        for worker in report["workers"]:
            output.print_facts(f"worker {worker['name']}", _facts(worker))
    else:
        output.print_line("no worker answers: is celery-worker.service running?")
    waiting = {name: length for name, length in report["queues"].items() if length}
    text = ", ".join(f"{name} {length}" for name, length in waiting.items()) or "nothing"
    output.print_line(f"waiting: {text}; under way: {report['under_way']}")
    output.print_table(
        "newest scans",
        [
            "scan",
            "folder",
            "status",
            "found",
            "stored",
            "unchanged",
            "failed",
            "ignored",
            "gone",
            "time",
        ],
        [
            [
                scan["id"],
                scan["root"],
                scan["status"],
                scan["found"],
                scan["stored"],
                scan["unchanged"],
                scan["failed"],
                scan["ignored"],
                scan["gone"],
                output.duration(scan["seconds"]),
            ]
            for scan in report["scans"]
        ],
        right=("scan", "found", "stored", "unchanged", "failed", "ignored", "gone", "time"),
    )
    _show_left_out(report["scans"][:1])
    output.print_facts("library", report["library"])


def _show_left_out(newest: list[dict[str, Any]]) -> None:
    """Say what the newest scan left out: an owner may miss it."""
    for scan in newest:
        if scan["left_out"]:
            names = scans.left_out_of(scan["id"])[:LEFT_OUT_SHOWN]
            more = ", …" if scan["left_out"] > len(names) else ""
            output.print_line(
                f"{scan['left_out']} files and folders of other programs were left out: "
                f"{', '.join(names)}{more}"
            )
