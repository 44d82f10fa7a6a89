"""Ansible as `make deploy` installs it, and copies of what it runs from."""

import os
import shutil
import subprocess

import pytest

from backend_worker.embedded import _postgres_bin
from tests.support.nap_worker import ROOT

DEPLOY = ROOT / ".venv" / "deploy"
# what a checkout needs so that one can deploy from it
PARTS = ["site.yml", "ansible.cfg", "inventory", "roles", "playbooks", "systemd"]
PARTS += ["Makefile", "requirements.txt", "pyproject.toml"]


def needed():
    """Skip the test where Ansible is not installed for deploying."""
    if not (DEPLOY / "bin" / "ansible-playbook").exists():
        pytest.skip("no Ansible in .venv/deploy: make .venv/deploy/.installed")


def run(command, folder, **environment):
    """Run a command with Ansible in its path; return its exit code and all that it printed."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "LC_", "MAKE", "MFLAGS"))
    }
    # the tests' own PostgreSQL brings psql along
    programs = [DEPLOY / "bin", _postgres_bin("psql").parent, clean["PATH"]]
    clean |= {"PATH": ":".join(map(str, programs)), "LC_ALL": "C.UTF-8"}
    clean |= {name: str(value) for name, value in environment.items()}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=clean,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, " ".join(done.stdout.split())


def copy_checkout(folder):
    """Copy a checkout, without its environments, which it shares with this one."""
    folder.mkdir()
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, symlinks=True)
        else:
            shutil.copy(source, folder / part)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder
