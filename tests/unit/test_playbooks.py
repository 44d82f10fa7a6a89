"""Playbooks and what the documents say of them."""

from __future__ import annotations

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_the_table_has_every_playbook_and_no_other() -> None:
    rows = re.findall(r"^\| `(playbooks/\S+)` \|", OPERATIONS, re.MULTILINE)
    assert sorted(rows) == [f"playbooks/{path.name}" for path in PLAYBOOKS]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_says_how_it_is_run(path: pathlib.Path) -> None:
    head, _, _ = path.read_text(encoding="utf-8").partition("\n- name:")
    assert re.search(rf"^#   ansible-playbook playbooks/{path.name}( {{3}}|$)", head, re.MULTILINE)


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_variables_that_a_comment_offers_are_read(path: pathlib.Path) -> None:
    head, _, body = path.read_text(encoding="utf-8").partition("\n- name:")
    read = body + "".join(
        other.read_text(encoding="utf-8") for other in (ROOT / "playbooks").rglob("*.yml")
    ).replace(head, "")
    for name in re.findall(r"-e (\w+)=", head):
        assert re.search(rf"\b{name}\b", read), name
