"""The meter sees what programs use, also what has ended already."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks.meter import Meter, idle, run_to_end

MIB = 1024 * 1024
BUSY_CHILD = (
    "import subprocess, sys;"
    "subprocess.run([sys.executable, '-c',"
    " 'import time\\nwhile time.process_time() < 0.3: pass'])"
)
FORTY_MIB = "block = bytearray(b'x') * (40 << 20); import time; time.sleep(3)"
BEATS = "import time\nfor _ in range(200): time.sleep(0.01)"


def python(code):
    return subprocess.Popen([sys.executable, "-c", code])


def test_processor_time_of_a_child_that_ended_is_counted():
    used = run_to_end(python(BUSY_CHILD))
    assert 0.3 <= used["cpu_seconds"] < 3
    assert used["wall_seconds"] >= 0.3


def test_the_peak_of_memory_is_seen():
    assert 40 * MIB < run_to_end(python(FORTY_MIB))["peak_pss"] < 80 * MIB


def test_a_program_that_fails_is_no_result():
    with pytest.raises(RuntimeError, match="ended with 3"):
        run_to_end(python("raise SystemExit(3)"))


def test_groups_are_told_apart_and_summed_up():
    process = python("import time; time.sleep(60)")
    try:
        with Meter({"us": [os.getpid()], "other": [process.pid]}) as meter:
            end = time.process_time() + 0.2
            while time.process_time() < end:
                pass
            cpu = meter.cpu()
    finally:
        process.kill()
        process.wait()
    assert cpu["us"] >= 0.18
    assert cpu["all"] == pytest.approx(cpu["us"] + cpu["other"])
    assert meter.peak_pss["all"] > meter.peak_pss["us"] > 5 * MIB


def test_wakeups_of_what_sleeps_are_counted():
    process = python(BEATS)
    try:
        time.sleep(0.3)
        found = idle({"program": [process.pid]}, 1.0)["program"]
    finally:
        process.kill()
        process.wait()
    assert 50 < found["wakeups"] < 110
    assert found["processes"] == 1
