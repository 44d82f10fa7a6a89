"""Figures for Prometheus and Grafana."""

import json
import pathlib
import re

from prometheus_client.parser import text_string_to_metric_families

from backend_worker.storage import search

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_prometheus_understands_the_figures(music, dashboard):
    answer = dashboard.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {f.name: f for f in text_string_to_metric_families(answer.body.decode())}
    assert families["backend_worker_library_tracks"].samples[0].value == search.totals()["tracks"]
    assert families["backend_worker_processes"].samples[0].value >= 1
    assert len(families["backend_worker_queue_messages"].samples) == 8
    for server in ("redis", "postgresql"):
        assert families[f"backend_worker_{server}_up"].samples[0].value == 1
    assert all(family.documentation for family in families.values())


def test_every_figure_of_the_grafana_dashboard_is_told(music, dashboard):
    shown = json.loads((ROOT / "docs" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = {
        name
        for panel in shown["panels"]
        for target in panel["targets"]
        for name in re.findall(r"backend_worker_\w+", target["expr"])
    }
    assert len(asked) > 15
    # a figure without a value now (no scan runs, no thermometer) is in the program's own text
    told = dashboard.get("/metrics").body.decode()
    program = (ROOT / "backend_worker" / "cli" / "prometheus.py").read_text(encoding="utf-8")
    for name in asked:
        own = name.removeprefix("backend_worker_")
        assert f"\n{name}" in told or f'"{own}"' in program, name
