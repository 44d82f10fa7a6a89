"""A virtual environment with another version of Celery, kept in the user's cache."""

import functools
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INSTALL_SECONDS = 300
# What else the broker's side consists of: it is the same as in our own environment.
_SAME = ("kombu", "redis", "billiard")


class UnavailableError(Exception):
    """The version cannot be installed here; the message says why."""


@functools.cache
def python_with_celery(version):
    """Return the interpreter of an environment with this version, made if there is none.

    Raises:
        UnavailableError: it cannot be installed.
    """
    wanted = {name: importlib.metadata.version(name) for name in _SAME} | {"celery": version}
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "backend-worker" / f"celery-{version}"
    python = folder / "bin" / "python"
    if _installed(python) != wanted:
        _make(folder, wanted)
    return python


def _installed(python):
    code = (
        "import importlib.metadata as m, sys;"
        "print(*(f'{name}={m.version(name)}' for name in sys.argv[1:]))"
    )
    try:
        answer = _run([python, "-c", code, *_SAME, "celery"])
    except UnavailableError:
        return {}
    return dict(word.split("=") for word in answer.split())


def _make(folder, wanted):
    folder.parent.mkdir(parents=True, exist_ok=True)
    # made under another name: what bears the right one is complete
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        new = Path(temporary) / "new"
        python = new / "bin" / "python"
        _run([sys.executable, "-m", "venv", new])
        packages = [f"{name}=={wanted[name]}" for name in _SAME]
        packages.append(f"celery[redis]=={wanted['celery']}")
        _run([python, "-m", "pip", "install", "--quiet", "--retries=1", *packages])
        if folder.exists():
            folder.rename(Path(temporary) / "old")
        try:
            new.rename(folder)
        except OSError:  # another run was faster
            shutil.rmtree(new)


def _run(command):
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    try:
        result = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(str(error)) from error
    if result.returncode != 0:
        lines = (result.stderr or result.stdout).strip().splitlines() or ["no output"]
        raise UnavailableError(lines[-1])
    return result.stdout
