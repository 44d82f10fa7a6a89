"""Each module has its tests where one looks for them, or tests/README.md says where."""

import re
from pathlib import Path

import pytest

import backend_worker

PACKAGE = Path(backend_worker.__file__).parent
TESTS = Path(__file__).parents[1]
ROW = re.compile(r"^\| (`.*`) \| (`.*`) \|$", re.MULTILINE)


def elsewhere():
    """Return the files of tests of each module that the table names."""
    rows = ROW.findall((TESTS / "README.md").read_text(encoding="utf-8"))
    found = [
        (module, re.findall("`(.*?)`", tests))
        for modules, tests in rows
        for module in re.findall("`(.*?)`", modules)
    ]
    assert len(dict(found)) == len(found), "a module stands there twice"
    return dict(found)


MODULES = {
    path.relative_to(PACKAGE)
    for path in PACKAGE.rglob("*.py")
    if not path.name.startswith("__") and "migrations" not in path.parts
}


@pytest.mark.parametrize("module", sorted(map(str, MODULES)))
def test_tests_are_where_one_looks_for_them(module):
    path = Path(module)
    mirrored = TESTS / "unit" / path.parent / f"test_{path.stem.lstrip('_')}.py"
    named = elsewhere().get(module, [])
    assert mirrored.is_file() != bool(named), f"{mirrored} or a row in tests/README.md"
    for file in named:
        assert (TESTS / file).is_file(), file


def test_the_table_names_modules_that_are_there():
    assert elsewhere().keys() <= set(map(str, MODULES))
