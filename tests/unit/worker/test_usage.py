import os
import subprocess
import sys
import time
from contextlib import contextmanager

from backend_worker.worker.usage import tree_usage

MIB = 1024 * 1024

# A name with what separates the fields of /proc/<pid>/stat, and a child that waits for us.
PARENT = """
import os, sys
open("/proc/self/comm", "w").write("a) S (1")
block = bytearray(40 * 1024 * 1024)
block[::4096] = b"x" * len(block[::4096])
print("ready", flush=True)
child = os.fork()
if child == 0:
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
os.waitpid(child, 0)
"""
BUSY = """
import os, sys, time
if os.fork() == 0:
    while time.process_time() < 0.3: pass
    os._exit(0)
os.wait()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def running(code, lines):
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        for _ in range(lines):
            assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.communicate()


def test_shared_memory_is_counted_once():
    with running(PARENT, 2) as pid:
        usage = tree_usage(pid)
    parent, child = usage.processes
    assert (parent.pid, child.parent) == (pid, pid)
    assert parent.parent == os.getpid()
    assert 40 * MIB < usage.pss < 75 * MIB  # 40 of them shared by both
    assert parent.pss > 20 * MIB
    assert child.pss > 20 * MIB
    assert child.private < 20 * MIB
    assert usage.pss == parent.pss + child.pss


def test_time_of_children_that_ended_is_counted():
    with running(BUSY, 1) as pid:
        usage = tree_usage(pid)
    assert len(usage.processes) == 1
    assert 0.25 <= usage.cpu_seconds < 5


def test_our_own_time_grows():
    before = tree_usage(os.getpid()).processes[0].cpu_seconds
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert tree_usage(os.getpid()).processes[0].cpu_seconds >= before + 0.08


def test_a_process_that_has_ended_is_left_out():
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert tree_usage(process.pid).processes == ()  # not collected yet
    process.wait()
    assert tree_usage(process.pid).processes == ()
