"""Users of this machine: an owner's login is left alone, one that the role made is removed."""

import os
import pwd
import subprocess

import pytest

from tests.support import playbook

pytestmark = pytest.mark.slow

OWNER, OURS = "bw-test-owner", "bw-test-worker"


@pytest.fixture
def owner():
    """A login as an owner has it."""
    if os.geteuid() != 0:
        pytest.skip("making users needs root")
    subprocess.run(["useradd", "--shell", "/bin/bash", "-d", "/home/owner", OWNER], check=True)
    yield OWNER
    for name in (OWNER, OURS):
        subprocess.run(["userdel", name], check=False, capture_output=True)


def tasks(user, *names):
    return [
        {
            "ansible.builtin.include_role": {"name": "celery_worker", "tasks_from": name},
            "vars": {"celery_worker_user": user},
        }
        for name in names
    ]


def test_an_owners_login_is_neither_changed_nor_removed(owner, tmp_path):
    before = pwd.getpwnam(owner)
    ended = playbook.run(
        tmp_path, [*tasks(owner, "make_user", "remove_user"), *tasks(OURS, "make_user")]
    )
    assert ended.failures == []
    assert pwd.getpwnam(owner) == before
    ours = pwd.getpwnam(OURS)
    assert (ours.pw_shell, ours.pw_dir) == ("/usr/sbin/nologin", "/var/lib/backend-worker")
    ended = playbook.run(tmp_path, tasks(OURS, "make_user", "remove_user"))
    assert ended.failures == []
    assert ended.changed == ["Remove the user"]
    assert OURS not in {account.pw_name for account in pwd.getpwall()}


def test_users_that_the_worker_cannot_be_are_refused(owner, tmp_path):
    cases = {
        "root": "cannot run as root",
        "postgres": "cannot run as postgres",
        "redis": "cannot run as redis",
        "pg_pi": "cannot run as pg_pi",
        "Neu er": "cannot run as Neu er",
        "sync": "set library_group to nogroup",
        owner: "accepted",
        OURS: "accepted",
        "www-data": "accepted",
    }
    answers = playbook.answers(
        tmp_path,
        "celery_worker",
        "preflight_user",
        [{"library_user": name} for name in cases]
        + [{"library_user": owner, "celery_worker_uid": 7}],
    )
    for answer, expected in zip(answers, [*cases.values(), "is left as it is"], strict=True):
        assert expected in answer
