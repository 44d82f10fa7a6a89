"""Say who holds the locks of apt and dpkg, and wait until nobody does.

Usage: ``wait_for_apt.py [SECONDS [ROOT]]``

Waits so many seconds at most, 0 without. Prints JSON: ``holder``, a sentence about the process
that holds a lock still, empty when all are free; and ``interrupted``, whether dpkg was broken off
in the middle of its work, as by a power cut. Runs on the host, with Debian's Python alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import subprocess
import sys
import time

LOCKS = (
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/lock",
    "var/lib/apt/lists/lock",
    "var/cache/apt/archives/lock",
)
DATABASE = "var/lib/dpkg"
# within: what dpkg is about to do; empty when it has done everything
JOURNAL = "updates"
UNFINISHED = {
    "half-installed",
    "unpacked",
    "half-configured",
    "triggers-awaited",
    "triggers-pending",
}
INTERPRETERS = ("python", "perl", "sh", "bash", "dash")
FLOCK = "@hhqqi4x"  # struct flock of 64-bit Linux: type, whence, start, length, process


def holder(root: str) -> str:
    """Return a sentence about the first lock that somebody holds, or an empty one."""
    for path in (os.path.join(root, lock) for lock in LOCKS):
        try:
            with open(path, "rb") as file:
                asked = struct.pack(FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind, _, _, _, pid = struct.unpack(FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
        except FileNotFoundError:
            continue
        if kind != fcntl.F_UNLCK:
            return f"{program(pid)} holds {path}"
    return ""


def program(pid: int) -> str:
    """Return the name of a process, for a Python or shell script that of the script."""
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            words = file.read().split("\0")
    except OSError:
        return "another program" if pid <= 0 else f"process {pid}"
    name = os.path.basename(words[0])
    if name.startswith(INTERPRETERS) and len(words) > 1 and words[1].startswith("/"):
        name = os.path.basename(words[1])
    return f"{name or 'another program'} (process {pid})"


def interrupted(root: str) -> bool:
    """Say whether dpkg left packages half installed; only true while nobody holds a lock."""
    database = os.path.join(root, DATABASE)
    if any(name.isdigit() for name in os.listdir(os.path.join(database, JOURNAL))):
        return True
    command = ["dpkg-query", f"--admindir={database}", "--show"]
    command += ["--showformat=${db:Status-Status}\n"]
    states = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return not UNFINISHED.isdisjoint(states.stdout.split())


def main(arguments: list[str]) -> None:
    """Wait, and print what is there then."""
    root = arguments[1] if len(arguments) > 1 else "/"
    deadline = time.monotonic() + (float(arguments[0]) if arguments else 0)
    found = holder(root)
    while found and time.monotonic() < deadline:
        time.sleep(1)
        found = holder(root)
    state = {"holder": found, "interrupted": not found and interrupted(root)}
    print(json.dumps(state))  # noqa: T201 - read by the role


if __name__ == "__main__":
    main(sys.argv[1:])
