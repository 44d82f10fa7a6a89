"""What a person and Prometheus see of a worker on a board that tells all, or nothing."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backend_worker.cli import prometheus
from backend_worker.cli.library import _facts

WORKER = {
    "name": 'celery-worker@"pi"',
    "processes": 3,
    "min_processes": 1,
    "max_processes": 4,
    "busy_processes": 2,
    "reserved_tasks": 4,
    "tasks_done": 1234,
    "uptime_seconds": 3700,
    "cpu_seconds": 61.5,
    "pss_bytes": 120_000_000,
    "memory_bytes": 130_000_000,
    "memory_high_bytes": 1_500_000_000,
    "memory_of": "high",
    "memory_pressure": 0.4,
    "cpu_pressure": 12.0,
    "temperature_c": 61.3,
    "files_per_second": 812.0,
    "hanging_folders": [{"sentence": "the folder /srv/music has not answered for 40 s"}],
    "scans": [
        {"scan_id": 3, "percent": 43, "files_per_second": 812.0, "time_left": "1 min left"},
        {"scan_id": 4, "percent": None, "files_per_second": 0.0, "found": 1200, "folder": "/a"},
    ],
    "scale_changes": 2,
    "scale_history": [
        {"time": 1.7e9, "before": 1, "after": 4, "reason": "312 queued"},
        {"time": 1.7e9, "before": 4, "after": 3, "reason": "76 °C"},
    ],
}
UNKNOWN = ("pss_bytes", "cpu_seconds", "memory_bytes", "memory_pressure", "cpu_pressure")
SILENT = (
    WORKER
    | dict.fromkeys(UNKNOWN)
    | {
        "temperature_c": None,
        "hanging_folders": [],
        "scans": [],
        "scale_history": [],
    }
)


def test_facts_of_a_board_that_tells_all():
    facts = _facts(WORKER)
    assert facts["processes"] == "3 of 1 to 4, 2 busy"
    assert facts["tasks done"] == "1,234 in 1:01:40"
    assert facts["memory"] == "120 MB in all its processes; 130 of 1500 MB in its control group"
    assert facts["temperature"] == "61 °C"
    assert facts["waiting for"] == "memory 0 %, processor 12 %"
    assert facts["scan 3"] == "43 %, 812 files/s, 1 min left"
    assert facts["scan 4"] == "1,200 files found so far, 0 files/s, in /a"
    assert facts["waits"] == "the folder /srv/music has not answered for 40 s"
    first, second = facts["scale events"].splitlines()
    assert first.endswith("1→4: 312 queued")
    assert second.endswith("4→3: 76 °C")


def test_what_a_board_does_not_tell_is_left_out():
    assert set(_facts(SILENT)) == {"processes", "tasks done"}


@pytest.mark.parametrize("worker", [WORKER, SILENT])
def test_metrics_are_those_that_are_known(worker):
    report = {"workers": [worker], "queues": {}, "under_way": 0, "scans": [], "library": {}}
    text = prometheus.text(report)
    families = {f.name: f for f in text_string_to_metric_families(text)}
    names = {name.removeprefix("backend_worker_") for name in families}
    assert ("temperature_celsius" in names) == (worker["temperature_c"] is not None)
    [sample] = families["backend_worker_processes"].samples
    assert (sample.labels, sample.value) == ({"worker": worker["name"]}, 3)
