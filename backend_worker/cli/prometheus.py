"""The figures of ``status`` in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PREFIX = "backend_worker_"

# Of each worker: metric, type, help, and the figure's name in the report.
_OF_WORKER = (
    ("processes", "gauge", "Processes of the pool.", "processes"),
    ("processes_min", "gauge", "Fewest processes.", "min_processes"),
    ("processes_max", "gauge", "Most processes.", "max_processes"),
    ("processes_busy", "gauge", "Processes that run a task.", "busy_processes"),
    ("reserved_tasks", "gauge", "Tasks that the worker has taken.", "reserved_tasks"),
    ("tasks_total", "counter", "Tasks since its start.", "tasks_done"),
    ("uptime_seconds", "gauge", "Seconds since its start.", "uptime_seconds"),
    ("cpu_seconds_total", "counter", "Processor time of the whole unit.", "cpu_seconds"),
    ("memory_pss_bytes", "gauge", "Memory of parent and children (PSS).", "pss_bytes"),
    ("memory_bytes", "gauge", "Memory in use, of the unit or else of the board.", "memory_bytes"),
    (
        "memory_high_bytes",
        "gauge",
        "Where the kernel slows the unit down, or else the memory there is.",
        "memory_high_bytes",
    ),
    (
        "memory_pressure_percent",
        "gauge",
        "Time of the last 10 s in which a task waited for memory.",
        "memory_pressure",
    ),
    (
        "cpu_pressure_percent",
        "gauge",
        "Time of the last 10 s in which a task waited for a processor.",
        "cpu_pressure",
    ),
    ("temperature_celsius", "gauge", "Temperature of the processor.", "temperature_c"),
    ("files_per_second", "gauge", "Files that running scans deal with.", "files_per_second"),
    ("scale_changes_total", "counter", "Changes of the number of processes.", "scale_changes"),
)
_OF_SCAN = ("found", "stored", "unchanged", "failed", "ignored", "waiting")


def text(report: Mapping[str, Any]) -> str:
    """Return a report of ``backend-worker status`` as metrics; what is not known is left out."""
    workers = report["workers"]
    parts = [metric("workers", "gauge", "Workers that answer.", [({}, len(workers))])]
    for name, kind, meaning, figure in _OF_WORKER:
        values = [({"worker": worker["name"]}, worker[figure]) for worker in workers]
        parts.append(metric(name, kind, meaning, values))
    parts += [
        metric(
            "queue_messages",
            "gauge",
            "Messages that wait.",
            [({"queue": name}, length) for name, length in report["queues"].items()],
        ),
        metric(
            "unacknowledged_messages",
            "gauge",
            "Messages that workers have taken and not finished.",
            [({}, report["under_way"])],
        ),
        metric(
            "scan_files",
            "gauge",
            "Files of the scans that run, by what has become of them.",
            [
                ({"scan": str(scan["id"]), "state": state}, scan[state])
                for scan in report["scans"]
                if scan["finished_at"] is None
                for state in _OF_SCAN
            ],
        ),
        *(
            metric(
                f"library_{name}",
                "gauge",
                f"In the library: {name.replace('_', ' ')}.",
                [({}, value)],
            )
            for name, value in report["library"].items()
        ),
    ]
    return "".join(parts)


def metric(
    name: str, kind: str, meaning: str, values: Iterable[tuple[Mapping[str, str], float | None]]
) -> str:
    """Return one metric with its samples, as (labels, value); nothing if no value is known."""
    samples = [
        f"{PREFIX}{name}{_labels(labels)} {value}\n"
        for labels, value in values
        if value is not None
    ]
    if not samples:
        return ""
    header = f"# HELP {PREFIX}{name} {meaning}\n# TYPE {PREFIX}{name} {kind}\n"
    return header + "".join(samples)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
