"""Installing what is measured or measures: from Debian where we are root, else from PyPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class MissingProgramError(Exception):
    """A program is not there and cannot be installed; the message says why."""


def install_from_debian(
    packages: Sequence[str], units: Sequence[str] = (), *, allowed: bool = True
) -> None:
    """Install Debian packages; their services are neither started nor enabled.

    Raises:
        MissingProgramError: it is not allowed, or does not work here.
    """
    if not allowed or os.geteuid() != 0 or not shutil.which("apt-get"):
        raise MissingProgramError(
            f"not installed; `apt install {' '.join(packages)}` as root brings it"
        )
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
        policy.chmod(0o755)
    try:
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            result = subprocess.run(
                ["apt-get", "--quiet", *words],
                env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                raise MissingProgramError(f"apt-get {words[0]} failed: {_last_line(result.stderr)}")
    finally:
        if ours:
            policy.unlink()
    if units and shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *units], check=False)


def debian_version(package: str) -> str:
    """Return the version of an installed package, empty where Debian did not bring it."""
    try:
        result = subprocess.run(
            ["dpkg-query", "--show", "--showformat=${Version}", package],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        return ""
    return result.stdout.strip()


def install_from_pypi(cache: Path, package: str) -> Path:
    """Install a package into an environment of its own in the cache; return its Python.

    Raises:
        MissingProgramError: it does not work here.
    """
    folder = cache / package
    python = folder / "bin" / "python"
    done = folder / "installed"
    if done.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    result = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise MissingProgramError(f"pip install {package} failed: {_last_line(result.stderr)}")
    done.touch()
    return python


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1]
