"""A path is shown in one way, wherever it stands."""

import ast
import os
from pathlib import Path

import pytest

import backend_worker
from backend_worker.cli import output
from backend_worker.library.paths import quoted, shown
from backend_worker.storage.scans import ScanRunningError

PACKAGE = Path(backend_worker.__file__).parent
FOLDER = b"/m/caf\xe9 \xff"
SHOWN = "/m/caf\\xe9 \\xff"


def test_bytes_that_are_no_utf8_look_the_same_everywhere():
    as_text = os.fsdecode(FOLDER)
    assert shown(FOLDER) == shown(as_text) == SHOWN
    assert quoted(FOLDER) == quoted(as_text) == f"'{SHOWN}'"
    assert output.printable(as_text).plain == SHOWN
    assert f" of {SHOWN} is still running" in str(ScanRunningError(1, FOLDER))


@pytest.mark.parametrize("error", ["strict", "replace"])
def test_what_is_shown_can_be_sent_and_stored(error):
    for odd in (os.fsdecode(FOLDER), "/m/\ud800", "/m/\udcff\ud800"):
        shown(odd).encode("utf-8", error)


def test_a_name_cannot_begin_a_line_of_the_log():
    assert quoted(b"a\nb\x1b[31m.mp3") == r"'a\nb\x1b[31m.mp3'"
    assert quoted("Björk, 東京.mp3") == "'Björk, 東京.mp3'"


def test_nobody_shows_paths_in_a_way_of_his_own():
    """The others escape tags and the terminal's characters."""
    users = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and node.value == "backslashreplace":
                users.add(str(path.relative_to(PACKAGE)))
    assert users == {"library/paths.py", "library/names.py", "cli/output.py"}
