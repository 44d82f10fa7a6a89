"""The documents name files that are there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "roles").glob("*/README.md")]
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    for link in links:
        if not re.match(r"[a-z]+:", link):
            assert (path.parent / link).exists(), link


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md", "docs/decisions"])
def test_modules_that_they_name_exist(name):
    paths = [ROOT / name] if name.endswith(".md") else sorted((ROOT / name).glob("*.md"))
    folders = [ROOT, ROOT / "backend_worker", ROOT / "backend_worker" / "library"]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        for module in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
            assert any((folder / module).exists() for folder in folders), (path.name, module)


def test_every_decision_is_in_the_list():
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((0\d+[^)]+)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
