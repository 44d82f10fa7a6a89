"""requirements.txt and the lock file for the Pi follow pyproject.toml."""

from __future__ import annotations

import pathlib
import re
import tomllib

from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCK = ROOT / "roles" / "python" / "files" / "requirements.lock"


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def required_by_project(*extras: str) -> dict[str, Requirement]:
    lines = list(project()["dependencies"])
    for extra in extras:
        lines += project()["optional-dependencies"][extra]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


def required_by_file() -> dict[str, Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    return {requirement.name: requirement for requirement in map(Requirement, named)}


def locked() -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def test_requirements_name_what_the_project_names() -> None:
    ours = required_by_file()
    for name, requirement in required_by_project("embedded", "flower", "test").items():
        assert ours[name].specifier == requirement.specifier, name


def test_deploying_needs_one_line_of_it() -> None:
    """`make deploy` installs that line alone; the roles use nothing that it does not bring."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "$$(grep '^ansible-core' $<)" in makefile
    assert "ansible-core" in required_by_file()
    used = re.compile(r"^\s*(?:- )?((?!ansible\.builtin)[a-z_]+\.[a-z_]+\.[a-z_]+):", re.MULTILINE)
    for folder in ("roles", "playbooks"):
        for path in (ROOT / folder).rglob("*.yml"):
            assert not used.findall(path.read_text(encoding="utf-8")), path


def test_lock_satisfies_the_project() -> None:
    versions = locked()
    for name, requirement in required_by_project("flower").items():
        assert requirement.specifier.contains(versions[name]), name


def test_lock_has_hashes_and_no_index() -> None:
    text = LOCK.read_text(encoding="utf-8")
    for block in re.split(r"\n(?=\w)", text):
        if "==" in block:
            assert "--hash=sha256:" in block, block.splitlines()[0]
    assert "://" not in text
