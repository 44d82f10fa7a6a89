"""The machine: whether memory limits are enforced, and whether processes are stuck."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Check, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOKS = 6
_PAUSE_SECONDS = 0.4
# Where FUSE lets a process wait for its file system's process; the state is S until a signal comes.
_WAITS_FOR_FUSE = "request_wait_answer"
_KERNEL_THREADS = "2"  # the number of their parent


def checks() -> Iterator[Check]:
    """Yield the looks at the machine."""
    yield Check("memory limits", _memory)
    yield Check("stuck processes", _stuck)


def _memory() -> Iterator[Finding]:
    """Raspberry Pi OS starts without the memory controller: limits then do nothing."""
    try:
        with open("/sys/fs/cgroup/cgroup.controllers", encoding="ascii") as file:
            controllers = file.read().split()
    except FileNotFoundError:
        yield Finding("ok", "memory limits", "not cgroup v2 (a laptop or a container)")
        return
    if "memory" in controllers:
        yield Finding("ok", "memory limits", "the kernel enforces them")
    else:
        yield Finding(
            "warning",
            "memory limits",
            "the memory controller is off: MemoryMax= does nothing",
            "add cgroup_enable=memory to /boot/firmware/cmdline.txt and reboot",
        )


def _stuck() -> Iterator[Finding]:
    """Who waits for a disk at every look is stuck; a busy one is not seen each time."""
    stuck = _waiting()
    for _ in range(_LOOKS - 1):
        if not stuck:
            break
        time.sleep(_PAUSE_SECONDS)
        now = _waiting()
        stuck = {pid: name for pid, name in stuck.items() if now.get(pid) == name}
    if not stuck:
        yield Finding("ok", "stuck processes", "none")
        return
    names = ", ".join(f"{name} ({pid})" for pid, name in sorted(stuck.items()))
    yield Finding(
        "warning",  # whose they are does not show; a folder of ours that hangs is a problem
        "stuck processes",
        f"{names}: waiting in the kernel for a disk or a network share; no signal ends them",
        "see which: sudo dmesg | tail, findmnt; bring it back, or sudo umount --lazy --force "
        "<mount point>; a process that stays goes with the next reboot",
    )


def _waiting() -> dict[int, str]:
    """Return processes that wait uninterruptibly or for FUSE, by number: their names."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                before, _, after = file.read().rpartition(")")
            state, parent = after.split()[:2]
            # a kernel thread may sleep so for ever, as the Pi's do
            if parent != _KERNEL_THREADS and (state == "D" or _waits_for_fuse(pid)):
                found[int(pid)] = before.partition("(")[2]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _waits_for_fuse(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii") as file:
            return file.read() == _WAITS_FOR_FUSE
    except PermissionError:  # of another user's process
        return False
