"""Deploying from a computer: which host, which settings of Ansible, and how ssh gets there."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys

import pytest

from tests.support import ansible, lab
from tests.support.dashboard import free_port
from tests.support.nap_worker import ROOT

USER = pwd.getpwuid(os.getuid()).pw_name
# Only the facts of the host are asked for: nothing is changed, no password is needed.
ASK_ONLY = (
    f"ANSIBLE=--tags nothing -e ansible_become=false -e ansible_python_interpreter={sys.executable}"
)


@pytest.fixture(scope="module", autouse=True)
def _ansible():
    ansible.needed()


@pytest.fixture(scope="module")
def open_checkout(tmp_path_factory):
    """A checkout as below /mnt/c of WSL: everybody may write, and everything is executable."""
    folder = ansible.copy_checkout(tmp_path_factory.mktemp("wsl") / "checkout")
    subprocess.run(["chmod", "--recursive", "a+rwx", *folder.iterdir()], check=True)
    folder.chmod(0o777)
    (folder / "requirements.txt").touch()
    os.utime(folder / "requirements.txt", (0, 0))  # the environment is not older
    return folder


class SshServer:
    """A real ssh server of this user's own, who gets in with one key alone."""

    def __init__(self, folder):
        self.port = free_port()
        self.key = folder / "key of the owner"
        self.log = folder / "log"
        host_key = folder / "host_key"
        for key in (self.key, host_key):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True
            )
        shutil.copy(f"{self.key}.pub", folder / "authorized_keys")
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where it gives up its rights
        self.process = subprocess.Popen(
            [
                shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]),
                *("-D", "-f", "/dev/null", "-E", str(self.log), "-p", str(self.port)),
                *("-h", str(host_key), "-o", "ListenAddress=127.0.0.1", "-o", "PidFile=none"),
                *("-o", f"AuthorizedKeysFile={folder / 'authorized_keys'}"),
                *("-o", "StrictModes=no", "-o", "UsePAM=no", "-o", "LogLevel=VERBOSE"),
                *("-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no"),
            ]
        )
        lab.wait_for(self._answers, 60, "an ssh server")

    def _answers(self):
        assert self.process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False


@pytest.fixture(scope="module")
def ssh(tmp_path_factory):
    if shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"]) is None:
        pytest.skip("no ssh server: apt install openssh-server")
    server = SshServer(tmp_path_factory.mktemp("ssh"))
    yield server
    server.process.terminate()
    server.process.wait(30)


def make_deploy(folder, tmp_path, *arguments, **environment):
    # no agent and no keys of the developer's own; what it leaves behind is the test's
    return ansible.run(
        ["make", "deploy", *arguments],
        folder,
        ANSIBLE_HOST_KEY_CHECKING="false",
        ANSIBLE_SSH_ARGS="-o ControlMaster=no -o IdentitiesOnly=yes -F /dev/null",
        ANSIBLE_SSH_COMMON_ARGS="-o UserKnownHostsFile=/dev/null",
        ANSIBLE_REMOTE_TEMP=tmp_path / "remote",
        SSH_AUTH_SOCK="",
        **environment,
    )


# that all begin with the same play is seen in tests/unit/test_playbooks.py
@pytest.mark.parametrize(
    "playbook", ["site.yml", "playbooks/rollback.yml", "playbooks/upgrade.yml"]
)
def test_no_playbook_succeeds_without_a_host(tmp_path, playbook):
    code, said = ansible.run(["ansible-playbook", ROOT / playbook], tmp_path)
    assert code != 0
    assert "Nothing would be done: the inventory has no host" in said
    assert f"ANSIBLE_CONFIG={ROOT}/ansible.cfg" in said


def test_a_limit_does_not_hide_that_there_is_no_host(tmp_path):
    for limit in ("pi", "localhost"):
        code, said = ansible.run(["ansible-playbook", ROOT / "site.yml", "-l", limit], tmp_path)
        assert code != 0
        assert "Nothing would be done" in said
        assert f"and in --limit {limit}" in said


def test_a_folder_that_everybody_may_write_is_an_error_with_the_remedy(open_checkout):
    code, said = ansible.run(["ansible-playbook", "site.yml"], open_checkout)
    assert code != 0
    assert "Nothing would be done" in said
    assert f"export ANSIBLE_CONFIG={open_checkout}/ansible.cfg" in said
    # the remedy that it names is one
    code, said = ansible.run(
        ["ansible-playbook", "site.yml", "--list-hosts"],
        open_checkout,
        ANSIBLE_CONFIG=open_checkout / "ansible.cfg",
    )
    assert (code, "hosts (1): pi" in said) == (0, True)


def test_an_inventory_without_our_settings_is_refused(open_checkout):
    code, said = ansible.run(["ansible-playbook", "-i", "inventory/rpi", "site.yml"], open_checkout)
    assert code != 0
    assert "not in force (pipelining, roles_path)" in said
    assert f"export ANSIBLE_CONFIG={open_checkout}/ansible.cfg" in said


@pytest.mark.parametrize("limit", ["typo", "pi,typo", "pi:!typo"])
def test_a_limit_that_names_no_host_is_refused(limit):
    code, said = ansible.run(["ansible-playbook", "site.yml", "--limit", limit], ROOT)
    assert code != 0
    assert "typo" in said
    assert "UNREACHABLE" not in said


@pytest.mark.parametrize("address", ["pi@board", "board:22", "ssh://board"])
def test_an_address_that_ssh_does_not_know_is_refused(address):
    command = ["ansible-playbook", "site.yml", "-e", f"ansible_host={address}"]
    code, said = ansible.run(command, ROOT)
    assert code != 0
    assert f'"{address}" is no address of pi' in said


def test_one_address_for_several_hosts_is_refused():
    command = ["ansible-playbook", "-i", "inventory/cluster", "site.yml", "-e", "ansible_host=hub"]
    code, said = ansible.run(command, ROOT)
    assert code != 0
    assert "hub, pi2, pi3 have one address, hub" in said


def test_a_backup_of_hosts_that_make_none_is_refused():
    command = ["ansible-playbook", "-i", "inventory/cluster", "playbooks/backup.yml", "-l", "pi2"]
    code, said = ansible.run(command, ROOT)
    assert code != 0
    assert 'no host that is in "workers[0]" and in --limit pi2' in said


def test_make_deploy_reaches_the_host_with_port_key_and_user(open_checkout, ssh, tmp_path):
    code, said = make_deploy(
        open_checkout,
        tmp_path,
        "HOST=127.0.0.1",
        f"PORT={ssh.port}",
        f"KEY={ssh.key}",
        f"REMOTE_USER={USER}",
        ASK_ONLY,
    )
    assert code == 0, said
    assert "pi : ok=" in said
    assert f"Accepted publickey for {USER}" in ssh.log.read_text()


@pytest.mark.parametrize("locale", ["C", "de_DE.UTF-8"])
def test_make_deploy_reads_user_and_port_in_the_address(ssh, tmp_path, locale):
    home = tmp_path / "home"
    home.mkdir()
    (home / "key").symlink_to(ssh.key)
    code, said = make_deploy(
        ROOT,
        tmp_path,
        f"HOST={USER}@127.0.0.1:{ssh.port}",
        "KEY=~/key",
        ASK_ONLY,
        HOME=home,
        LC_ALL=locale,
        LANG=locale,
    )
    assert code == 0, said
    assert "pi : ok=" in said


@pytest.mark.parametrize(
    ("given", "address", "rest"),
    [
        ("board.local", "board.local", ""),
        ("10.0.0.5:2222", "10.0.0.5", "-e ansible_port=2222"),
        ("pi@board:2222", "board", "-e ansible_user=pi -e ansible_port=2222"),
        ("fe80::1", "fe80::1", ""),
        ("[fe80::1]:2222", "fe80::1", "-e ansible_port=2222"),
        ("pi@[fe80::1]", "fe80::1", "-e ansible_user=pi"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", ""),
    ],
)
def test_how_an_address_may_be_written(given, address, rest):
    code, said = ansible.run(["make", "--dry-run", "deploy", f"HOST={given}"], ROOT)
    assert code == 0
    command = said.replace("\\", "").partition("ansible-playbook ")[2]
    assert " ".join(command.split()) == f"site.yml -e ansible_host={address} {rest}".strip()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name the Pi: make deploy HOST=raspberrypi.local"),
        (["HOST=one two"], "name the Pi: make deploy HOST=raspberrypi.local"),
        (["HOST=pi", "KEY=/no/key"], "KEY=/no/key: no such file"),
    ],
)
def test_make_deploy_says_what_is_wrong(arguments, sentence):
    code, said = ansible.run(["make", "deploy", *arguments], ROOT)
    assert code != 0
    assert sentence in said


def test_make_deploy_fails_where_nobody_answers(tmp_path):
    code, said = make_deploy(ROOT, tmp_path, "HOST=127.0.0.1", f"PORT={free_port()}")
    assert code != 0
    assert "UNREACHABLE" in said
