"""The rules of the house: who may import what, and what starting up may cost."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import backend_worker

PACKAGE = Path(backend_worker.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("numpy", "scipy", "sklearn", "PIL", "httpx", "rich", "hypothesis")


@functools.cache
def imports(path, *, top_level_only=False):
    """Return the modules that a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def users_of(package):
    return {
        path.relative_to(PACKAGE).parts[0]
        for path in MODULES
        if any(name.split(".")[0] == package for name in imports(path))
    }


def test_the_library_imports_nothing_of_ours_but_itself():
    for path in (PACKAGE / "library").rglob("*.py"):
        for name in imports(path):
            if name.startswith("backend_worker"):
                assert name.startswith("backend_worker.library"), (path, name)


def test_only_the_storage_speaks_to_postgresql():
    # the command line and the embedded server only catch its errors and look whether it is up
    assert users_of("psycopg2") <= {"storage", "cli", "embedded.py"}


def test_only_tasks_and_the_worker_are_built_on_celery():
    assert users_of("celery") <= {"tasks", "worker", "celery_app.py", "cli"}


@pytest.mark.parametrize("module", ["backend_worker.celery_app", "backend_worker.worker.hooks"])
def test_starting_the_worker_imports_nothing_heavy(module):
    code = (
        f"import sys, {module} as m; from backend_worker.celery_app import app;"
        "app.loader.import_default_modules();"
        f"print(*[name for name in {HEAVY} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == []


def test_the_settings_need_the_standard_library_alone():
    code = (
        "import sys; before = set(sys.modules); import backend_worker.config;"
        "new = {name.split('.')[0] for name in set(sys.modules) - before};"
        "print(*[name for name in new if name not in sys.stdlib_module_names])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == ["backend_worker"]


def test_the_dashboard_is_light_and_the_only_web_server():
    assert users_of("tornado") == {"dashboard"}
    heavy = (*HEAVY, "celery", "mutagen", "prometheus_client")
    code = (
        "import sys, backend_worker.cli.dashboard, backend_worker.dashboard.server;"
        f"print(*[name for name in {heavy} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert output.split() == []
