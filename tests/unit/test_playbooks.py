"""Playbooks and what the documents say of them."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

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


@pytest.mark.parametrize("path", [ROOT / "site.yml", *PLAYBOOKS], ids=lambda path: path.stem)
def test_every_playbook_ends_where_it_has_no_host(path: pathlib.Path) -> None:
    first = yaml.safe_load(path.read_text(encoding="utf-8"))[0]
    imported = path.parent / first["ansible.builtin.import_playbook"]
    # the upgrade begins with the backup, which begins with the check
    if imported.name != "check_hosts.yml":
        first = yaml.safe_load(imported.read_text(encoding="utf-8"))[0]
        imported = imported.parent / first["ansible.builtin.import_playbook"]
    assert imported.samefile(ROOT / "playbooks" / "plays" / "check_hosts.yml")


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_variables_that_a_comment_offers_are_read(path: pathlib.Path) -> None:
    head, _, body = path.read_text(encoding="utf-8").partition("\n- name:")
    read = body + "".join(
        other.read_text(encoding="utf-8") for other in (ROOT / "playbooks").rglob("*.yml")
    ).replace(head, "")
    for name in re.findall(r"-e (\w+)=", head):
        assert re.search(rf"\b{name}\b", read), name


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("redis://worker:s3cr3t,x@10.0.0.2:6379/0", "redis://worker:***@10.0.0.2:6379/0"),
        ("rediss://:s3cr3t@hub/0", "rediss://:***@hub/0"),
        ("host=hub password=s3cr3t@x,y user=worker", "host=hub password=*** user=worker"),
        ("password='s3cr3t' user=worker", "password='***' user=worker"),
        ('{"password": "s3cr3t", "port": 1}', '{"password": "***", "port": 1}'),
        ("FLOWER_BASIC_AUTH=admin:s3cr3t", "FLOWER_BASIC_AUTH=***"),
        ("BACKEND_WORKER_DASHBOARD_TOKEN: s3cr3t", "BACKEND_WORKER_DASHBOARD_TOKEN: ***"),
        ("http://localhost:8337/api/status", "http://localhost:8337/api/status"),
    ],
)
def test_a_bug_report_has_no_password(line: str, shown: str) -> None:
    _, play = yaml.safe_load((ROOT / "playbooks" / "diagnose.yml").read_text(encoding="utf-8"))
    assert re.sub(play["vars"]["diagnose_secrets"], r"\1\2***", line) == shown
