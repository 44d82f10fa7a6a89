"""Which versions of other programs' packages we were written for: those that pyproject.toml pins.

The worker overrides methods of Celery, kombu, billiard and redis-py that no release promises to
keep; ``tests/unit/test_overrides.py`` compares them.
"""

from __future__ import annotations

import re
from importlib import metadata

_PIN = re.compile(r"([\w.-]+)(?:\[[^]]*\])?==([\w.]+)")


def pinned() -> dict[str, str]:
    """Return the versions of the packages that have to be exactly these."""
    requirements = metadata.requires("backend-worker") or []
    # what only an extra asks for has a condition behind it
    found = (_PIN.fullmatch(requirement) for requirement in requirements)
    return {match[1]: match[2] for match in found if match}


def warning() -> str | None:
    """Return what is to be said where other versions are installed, else None."""
    others = [
        f"{name} {installed} and not {wanted}"
        for name, wanted in pinned().items()
        if (installed := _installed(name)) != wanted
    ]
    if not others:
        return None
    return (
        f"installed are {', '.join(others)}: nobody has tried that. "
        "`make deploy`, or `pip install` of this program, installs what belongs to it"
    )


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "of no version"
