"""Terminals that know no UTF-8: every command prints, and names mean what they are."""

import os
import shutil
import subprocess
import sys

import pytest

from backend_worker.library.sample import make_library

LATIN_1 = {"LC_ALL": "en_US.ISO-8859-1"}
ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
COMMANDS = [
    ["doctor"],
    ["config"],
    ["status"],
    ["failures"],
    ["failures", "--json"],
    ["search", "a"],
    ["similar", "1"],
    ["top", "--once"],
    ["maintenance", "check_integrity"],
    ["canary"],
]


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """A folder with a locale of one byte a character; Debian has none by default."""
    if shutil.which("localedef") is None:
        pytest.skip("no localedef here")
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "en_US.ISO-8859-1"]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine has no sources of locales (Debian: the package locales)")
    return folder


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A folder whose name, and whose files' names, are not ASCII; one is not even UTF-8."""
    root = tmp_path_factory.mktemp("locales") / "Müsik → İı"
    make_library(str(root), tracks=10, broken=False)
    (root / "bröken…\U0001f3b5.mp3").write_bytes(b"no music")
    with open(os.fsencode(root) + b"/latin1-\xe9.mp3", "wb") as file:
        file.write(b"neither")
    return root


def run(locales, locale, *arguments):
    environment = {
        name: text for name, text in os.environ.items() if name not in {"LANG", "LC_ALL"}
    }
    return subprocess.run(
        [sys.executable, "-m", "backend_worker", *arguments],
        env={**environment, "LOCPATH": str(locales), **locale},
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("locale", [LATIN_1, ASCII], ids=["latin-1", "ascii"])
def test_commands_print_whatever_the_terminal_knows(library, worker, locales, music, locale):
    scan = run(locales, locale, "scan", str(music), "--follow")
    assert (scan.returncode, scan.stderr) == (0, b""), scan
    [(root, failed)] = library.rows("SELECT root, failed FROM scan")
    assert (bytes(root), failed) == (os.fsencode(music), 2)
    library.settle()
    for command in COMMANDS:
        answer = run(locales, locale, *command)
        assert b"Traceback" not in answer.stderr, (command, answer.stderr)
        assert answer.returncode == 0, (command, answer)
        answer.stdout.decode("latin-1" if locale is LATIN_1 else "ascii")
    names = run(locales, locale, "failures").stdout
    assert "bröken~".encode("latin-1") in names if locale is LATIN_1 else b"br\\xf6ken~" in names
