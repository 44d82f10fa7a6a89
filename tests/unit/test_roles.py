"""Roles keep their word: defaults, argument_specs and README name the same variables."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if (path / "tasks").is_dir())
TEMPLATES = sorted(
    path
    for folder in ("roles", "systemd")
    for path in (ROOT / folder).rglob("*.j2")
    if path.is_file()
)
PLACES = ["meta/argument_specs.yml", "meta/main.yml", "tasks/preflight.yml", "README.md"]


def load(path: pathlib.Path) -> dict:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def defaults(role: pathlib.Path) -> dict:
    path = role / "defaults" / "main.yml"
    return load(path) if path.exists() else {}


def entry_points(role: pathlib.Path) -> dict:
    return load(role / "meta" / "argument_specs.yml")["argument_specs"]


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request: pytest.FixtureRequest) -> pathlib.Path:
    return request.param


def test_there_are_roles() -> None:
    assert {"board", "python", "redis", "postgresql"} <= {path.name for path in ROLES}


@pytest.mark.parametrize("place", PLACES)
def test_every_role_has_the_same_parts(role: pathlib.Path, place: str) -> None:
    assert (role / place).is_file()


def test_defaults_are_those_of_the_argument_specs(role: pathlib.Path) -> None:
    options = entry_points(role)["main"].get("options", {})
    specified = {name: option["default"] for name, option in options.items() if "default" in option}
    assert folded(specified) == folded(defaults(role))


def folded(values: dict) -> dict:
    """Return the values with the white space of long expressions folded."""
    return {
        name: " ".join(value.split()) if isinstance(value, str) else value
        for name, value in values.items()
    }


def test_every_option_is_described_and_typed(role: pathlib.Path) -> None:
    for name, option in entry_points(role)["main"].get("options", {}).items():
        assert option.get("description"), name
        assert option.get("type"), name
        assert option["type"] != "list" or option.get("elements"), name


def test_preflight_checks_the_same_arguments(role: pathlib.Path) -> None:
    points = entry_points(role)
    assert points["preflight"] == points["main"]


def test_readme_has_every_variable_with_its_default(role: pathlib.Path) -> None:
    readme = (role / "README.md").read_text("utf-8")
    # three cells and no more: a | in one would begin another
    rows = dict(
        re.findall(rf"^\| `({role.name}_\w+)` \| ([^|]*) \| [^|]+ \|$", readme, re.MULTILINE)
    )
    every = {
        name: option
        for point in entry_points(role).values()
        for name, option in point.get("options", {}).items()
    }
    assert set(rows) == set(every)
    for name, option in every.items():
        assert rows[name] == shown(option), name


def shown(option: dict) -> str:
    """Return a default as the table has it; computed ones are explained in words there."""
    if option.get("required"):
        return "required"
    value = option["default"]
    if isinstance(value, str) and "{{" in value:
        return "computed"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`[{', '.join(str(item) for item in value)}]`"
    return f'`"{value}"`' if value == "" else f"`{value}`"


def test_variables_carry_the_roles_name(role: pathlib.Path) -> None:
    variables = role / "vars" / "main.yml"
    internal = load(variables) if variables.exists() else {}
    assert all(name.startswith(f"{role.name}_") for name in defaults(role))
    assert all(name.startswith(f"__{role.name}_") for name in internal)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_say_that_they_are_managed(path: pathlib.Path) -> None:
    # a block inside Debian's file, with markers of its own; a part of units; what psql reads
    parts = {"pg_hba.j2", "music-folder.j2"}
    if path.name in parts or path.name.endswith(".sql.j2"):
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    first = lines[1] if lines[0].startswith("#!") else lines[0]
    assert first == "{{ ansible_managed | comment }}"


def tasks_with(words: str) -> set[str]:
    """Return the files of roles and playbooks that hold these words."""
    files = [path for folder in ("roles", "playbooks") for path in (ROOT / folder).rglob("*.yml")]
    return {
        str(path.relative_to(ROOT)) for path in files if words in path.read_text(encoding="utf-8")
    }


def test_packages_are_installed_in_one_place_which_waits_for_apt() -> None:
    places = {"roles/board/tasks/packages.yml", "roles/board/tasks/install.yml"}
    assert tasks_with("ansible.builtin.apt:") == places
    for place in places:
        text = (ROOT / place).read_text(encoding="utf-8")
        assert text.index("apt_free.yml") < text.index("ansible.builtin.apt:")
        assert "lock_timeout:" in text


def test_a_good_run_shows_no_line_of_a_failure() -> None:
    # Ansible writes "FAILED - RETRYING" for each; only a download that broke off is tried again
    assert tasks_with("  until:") == {"roles/python/tasks/venv.yml"}
