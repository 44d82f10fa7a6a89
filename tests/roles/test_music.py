"""Music in a home that is closed to others: refused with what to do, or opened as agreed."""

import importlib.util
import os
import subprocess
import tempfile

import pytest

from tests.support import playbook

USER = "daemon"  # it is on every Debian, and has no right in anybody's home


@pytest.fixture
def home():
    """A home as Raspberry Pi OS makes it, with music in it."""
    if os.geteuid() != 0:
        pytest.skip("asking as another user needs root")
    with tempfile.TemporaryDirectory(dir="/home", prefix="bw-test-") as folder:
        os.chmod(folder, 0o700)
        for path in ("Music", "Music/A", "Music/closed"):
            os.mkdir(os.path.join(folder, path))
        for path in ("Music/A/x.mp3", "Music/closed/y.mp3", "secret"):
            with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
                file.write("x")
        os.chmod(os.path.join(folder, "Music/closed"), 0o700)
        os.chmod(os.path.join(folder, "Music/closed/y.mp3"), 0o600)
        os.chmod(os.path.join(folder, "secret"), 0o600)
        yield folder


@pytest.fixture
def module():
    pytest.importorskip("ansible", reason="Ansible is not installed here: make .venv/.control")
    path = playbook.ROOT / "roles" / "celery_worker" / "library" / "music_access.py"
    spec = importlib.util.spec_from_file_location("music_access", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def modes(folder):
    """Return mode and access control lists of everything in a folder."""
    found = {}
    for where, folders, files in os.walk(folder):
        for path in [where, *(os.path.join(where, name) for name in folders + files)]:
            lists = {name: os.getxattr(path, name) for name in os.listxattr(path)}
            found[path] = (oct(os.stat(path).st_mode), lists)
    return found


def read_by_user(path):
    """Say whether the user can read a file or a folder."""
    become = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    command = [*become, "ls" if os.path.isdir(path) else "cat", path]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_it_is_let_in_to_the_music_alone_and_out_again(home, module, tmp_path):
    music, record = f"{home}/Music", str(tmp_path / "acl.json")
    before = modes(home)
    assert module.look(music, USER, []) == {
        "real": music,
        "exists": True,
        "closed": [home],
        "without_acl": [],
    }
    wanted = {"path": music, "user": USER, "groups": [], "record": record}
    assert module.grant(wanted, check=False)
    assert module.look(music, USER, [])["closed"] == []
    assert read_by_user(f"{music}/A/x.mp3")
    assert read_by_user(f"{music}/closed/y.mp3")
    os.umask(0o077)
    with open(f"{music}/closed/new.mp3", "w", encoding="utf-8") as file:
        file.write("x")
    os.umask(0o022)
    assert read_by_user(f"{music}/closed/new.mp3")
    assert not read_by_user(f"{home}/secret")
    assert not read_by_user(home)  # it passes through, and sees no names
    assert not module.grant(wanted, check=False)

    os.unlink(f"{music}/closed/new.mp3")
    assert module.revoke(wanted, check=False)
    assert modes(home) == before
    assert not os.path.exists(record)
    assert not module.revoke(wanted, check=False)


def test_the_lists_of_others_stay(home, module, tmp_path):
    if subprocess.run(["which", "setfacl"], capture_output=True, check=False).returncode:
        pytest.skip("setfacl is not installed (Debian: acl)")
    music, record = f"{home}/Music", str(tmp_path / "acl.json")
    subprocess.run(["setfacl", "-m", "u:games:rwx,g:games:r", home], check=True)
    subprocess.run(["setfacl", "-m", "d:u:games:rwx", music], check=True)
    before = modes(home)
    wanted = {"path": music, "user": USER, "groups": [], "record": record}
    assert module.grant(wanted, check=False)
    shown = subprocess.run(["getfacl", "-p", home], capture_output=True, text=True, check=True)
    assert "user:games:rwx" in shown.stdout
    assert f"user:{USER}:--x" in shown.stdout
    module.revoke(wanted, check=False)
    assert modes(home) == before


@pytest.mark.slow
def test_preflight_says_what_to_do(home, tmp_path):
    os.symlink(f"{home}/Music", tmp_path / "link")
    os.chmod(f"{home}/Music", 0o755)
    user = {"library_user": USER}
    closed, agreed, missing, link, own = playbook.answers(
        tmp_path,
        "celery_worker",
        "preflight_music",
        [
            {"library_music_dir": f"{home}/Music", **user},
            {"library_music_dir": f"{home}/Music", "library_music_acl": True, **user},
            {"library_music_dir": f"{home}/Musik", "library_music_acl": True, **user},
            {"library_music_dir": str(tmp_path / "link"), "library_music_acl": True, **user},
            {"library_music_dir": f"{home}/Music", "library_user": "root"},
        ],
    )
    assert f"{home} on localhost is closed to others" in closed
    assert "library_music_acl: true" in closed
    assert agreed == own == "accepted"
    assert "is not a folder" in missing
    assert f"set library_music_dir to {home}/Music" in link
