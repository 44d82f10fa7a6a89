"""Run tasks of the roles with Ansible itself, on this machine."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
_PROGRAM = Path(sys.executable).with_name("ansible-playbook")


def run(folder, tasks, *, facts=False, check=False, options=(), **variables):
    """Run tasks on localhost; return the results of the tasks by name, and the error message.

    The test is skipped where Ansible is not installed (`make .venv/.control`).
    """
    if not _PROGRAM.exists():
        pytest.skip("Ansible is not installed here: make .venv/.control")
    play = {
        "name": "Test",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": facts,
        "vars": {"ansible_python_interpreter": _python(), **variables},
        "tasks": tasks,
    }
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False, allow_unicode=True), "utf-8")
    ended = subprocess.run(
        [_PROGRAM, "-i", "localhost,", *(["--check"] if check else []), *options, playbook],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "LC_ALL": "C.UTF-8"},
    )
    return _Ended(ended)


def answers(folder, role, tasks_from, cases, **variables):
    """Run a role's checks with each case's variables; return what they say, or "accepted"."""
    said = "{{ said | default([]) + [%s] }}"
    failed = (
        "(ansible_failed_result.results | default([ansible_failed_result])"
        " | selectattr('failed', 'defined') | selectattr('failed') | first).msg"
    )
    tasks = [
        {
            "block": [
                {
                    "ansible.builtin.include_role": {"name": role, "tasks_from": tasks_from},
                    "vars": case,
                },
                {"ansible.builtin.set_fact": {"said": said % "'accepted'"}},
            ],
            "rescue": [{"ansible.builtin.set_fact": {"said": said % failed}}],
        }
        for case in cases
    ]
    last = {"name": "Tell", "ansible.builtin.debug": {"var": "said"}}
    ended = run(folder, [*tasks, last], **variables)
    assert ended.code == 0, ended.failures
    return ended.results["Tell"][-1]["said"]


class _Ended:
    """What a run did."""

    def __init__(self, ended):
        try:
            report = json.loads(ended.stdout[ended.stdout.index("{") :])
        except ValueError as error:
            raise AssertionError(ended.stdout + ended.stderr) from error
        self.code = ended.returncode
        self.results = {}
        for play in report["plays"]:
            for task in play["tasks"]:
                result = task["hosts"].get("localhost")
                if result is not None:
                    name = task["task"]["name"].split(" : ")[-1]
                    self.results.setdefault(name, []).append(result)

    @property
    def changed(self):
        """Names of the tasks that changed something."""
        return [name for name, all_ in self.results.items() if any(r.get("changed") for r in all_)]

    @property
    def failures(self):
        """Messages of the tasks that failed."""
        return [
            str(r.get("msg"))
            for all_ in self.results.values()
            for r in all_
            if r.get("failed") and r.get("failed_when_result") is not False
        ]


def _python():
    """The interpreter of the system: it has what Debian's modules for Ansible need."""
    return shutil.which("python3", path="/usr/bin") or sys.executable
