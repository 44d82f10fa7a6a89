"""Render the unit templates with the roles' own defaults, as Ansible does."""

import re
from pathlib import Path

import jinja2
import jinja2.meta
import jinja2.nativetypes
import yaml

ROOT = Path(__file__).parents[3]
_OPTIONS = {
    "trim_blocks": True,
    "keep_trailing_newline": True,
    "undefined": jinja2.StrictUndefined,
    "autoescape": False,
}


def _comment(text):
    return "\n".join(f"# {line}" for line in text.splitlines())


def _prepare(environment):
    environment.filters["comment"] = _comment
    environment.filters["bool"] = lambda value: str(value).lower() in {"true", "yes", "1"}
    environment.filters["regex_replace"] = lambda text, old, new: re.sub(old, new, text, count=1)
    environment.tests["match"] = lambda text, pattern: re.match(pattern, text) is not None
    return environment


class Variables(dict):
    """Variables whose values are templates, evaluated when they are looked up."""

    def __init__(self, values):
        super().__init__(values)
        self._environment = _prepare(jinja2.nativetypes.NativeEnvironment(**_OPTIONS))

    def __getitem__(self, name):
        return self._evaluate(super().__getitem__(name))

    def _evaluate(self, value):
        if isinstance(value, dict):
            return {key: self._evaluate(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._evaluate(item) for item in value]
        if not isinstance(value, str) or "{{" not in value:
            return value
        names = jinja2.meta.find_undeclared_variables(self._environment.parse(value))
        known = {name: self[name] for name in names if name in self}
        result = self._environment.from_string(value).render(known)
        return list(result) if hasattr(result, "__next__") else result


def variables(role, *, ram_mib=3800, cores=4, **inventory):
    """Return a role's variables on a board of this size, with those of an inventory."""
    values = {
        "ansible_managed": "Managed by Ansible",
        "ansible_facts": {"memtotal_mb": ram_mib, "processor_nproc": cores},
        "inventory_hostname": "pi",
        "groups": {"workers": ["pi"]},
        "role_path": str(ROOT / "roles" / role),
    }
    for part in ("defaults", "vars"):
        file = ROOT / "roles" / role / part / "main.yml"
        if file.exists():
            values |= yaml.safe_load(file.read_text(encoding="utf-8"))
    return Variables(values | inventory)


def render(template, values, **more):
    """Return the text of a template in ``systemd/``."""
    loader = jinja2.FileSystemLoader(ROOT / "systemd")
    environment = _prepare(jinja2.Environment(**_OPTIONS, loader=loader))
    source = (ROOT / "systemd" / template).read_text(encoding="utf-8")
    names = jinja2.meta.find_undeclared_variables(environment.parse(source))
    known = {name: values[name] for name in names if name in values}
    return environment.from_string(source).render(known | more)


def settings(text):
    """Return a unit's ``Name=value`` lines as a dictionary of lists."""
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found
