"""What keeps apt from working: real locks of another process, and a real half-done dpkg."""

import json
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "roles/board/files/wait_for_apt.py"
HOLDER = """\
import fcntl, sys, time
with open(sys.argv[1], "w") as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""

pytestmark = pytest.mark.skipif(shutil.which("dpkg") is None, reason="dpkg is not installed")


@pytest.fixture
def root(tmp_path):
    """The folders of a Debian of its own."""
    for folder in ("var/lib/dpkg/updates", "var/lib/apt/lists", "var/cache/apt/archives"):
        (tmp_path / folder).mkdir(parents=True)
    for file in ("status", "available", "lock-frontend", "lock"):
        (tmp_path / "var/lib/dpkg" / file).touch()
    return tmp_path


@pytest.fixture
def hold(tmp_path):
    """Have a process called unattended-upgrade hold a lock for some seconds."""
    program = tmp_path / "unattended-upgrade"
    program.write_text(HOLDER)
    processes = []

    def start(path, seconds):
        command = [sys.executable, program, path, str(seconds)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def look(root, seconds=0):
    return json.loads(run([sys.executable, SCRIPT, str(seconds), root]))


def run(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_nobody_holds_a_lock(root):
    assert look(root) == {"holder": "", "interrupted": False}


@pytest.mark.parametrize(
    "lock", ["var/lib/dpkg/lock-frontend", "var/lib/dpkg/lock", "var/lib/apt/lists/lock"]
)
def test_it_names_who_holds_a_lock(root, hold, lock):
    process = hold(root / lock, 60)
    holder = f"unattended-upgrade (process {process.pid}) holds {root / lock}"
    assert look(root, 0.1) == {"holder": holder, "interrupted": False}


def test_it_waits_no_longer_than_it_must(root, hold):
    hold(root / "var/lib/dpkg/lock-frontend", 2)
    started = time.monotonic()
    assert look(root, 300) == {"holder": "", "interrupted": False}
    assert time.monotonic() - started < 200


def test_a_package_that_was_unpacked_alone_is_seen(root, tmp_path):
    package = tmp_path / "half" / "DEBIAN"
    package.mkdir(parents=True)
    fields = {"Package": "half", "Version": "1", "Architecture": "all", "Description": "half"}
    fields["Maintainer"] = "nobody <nobody@example.org>"
    control = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (package / "control").write_text(control)
    dpkg = [
        "dpkg",
        f"--root={root}",
        "--force-not-root",
        "--force-script-chrootless",
        "--log=/dev/null",
    ]
    run(["dpkg-deb", "--build", "--root-owner-group", package.parent])
    run([*dpkg, "--unpack", f"{package.parent}.deb"])
    assert look(root)["interrupted"]
    run([*dpkg, "--configure", "--pending"])
    assert not look(root)["interrupted"]


def test_a_journal_of_dpkg_is_seen(root):
    (root / "var/lib/dpkg/updates/0001").write_text("Package: half\n")
    assert look(root)["interrupted"]
