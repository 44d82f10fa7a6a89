"""The program itself: Python and its packages."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES = ("celery", "kombu", "redis", "psycopg2", "mutagen", "sklearn", "numpy", "PIL", "httpx")


def check() -> Check:
    """Return the look at what imports; a Pi reads all that from its card."""
    return Check("packages", _packages, ("the disk is slow, or fails", "dmesg"), seconds=25.0)


def _packages() -> Iterator[Finding]:
    yield Finding("ok", "Python", sys.version.split()[0])
    missing = []
    for name in _MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            missing.append(f"{name} ({error})")
    if missing:
        yield Finding(
            "problem",
            "packages",
            ", ".join(missing),
            "install the package again in its environment",
        )
    else:
        yield Finding("ok", "packages", f"all {len(_MODULES)} import")
