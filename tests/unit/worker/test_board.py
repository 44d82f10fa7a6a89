"""What the board says, from the kernel's files as several systems have them."""

import os

import pytest

from backend_worker.worker.board import Board, BoardState
from tests.support.fake_board import GROUP, MIB, FakeBoard


@pytest.fixture
def pi(tmp_path):
    return FakeBoard(tmp_path)


def observe(fake):
    return Board(fake.root).observe()


def test_a_pi_has_everything(pi):
    pi.memory(used_mib=500, high_mib=1000, cache_mib=100)
    pi.group("memory.pressure", "some avg10=1.25 avg60=0.00 avg300=0.00 total=1")
    pi.pressure("proc/pressure/cpu", 42.5)
    pi.temperature(61.3)
    state = observe(pi)
    assert state == BoardState(400 * MIB, 1000 * MIB, "high", 1.25, 42.5, 61.3)
    assert state.memory_percent == 40
    assert state.missing() == ()


def test_nothing_is_known_where_nothing_is_to_be_read(tmp_path):
    state = Board(str(tmp_path)).observe()
    assert state == BoardState()
    assert state.missing() == ("memory", "memory pressure", "cpu pressure", "temperature")


def test_this_machine_is_read_without_an_error():
    state = Board().observe()
    # every Linux has /proc/meminfo, whatever control groups there are
    assert state.memory_bytes > 0
    assert 0 < state.memory_percent < 200


def test_the_figures_are_those_of_the_moment(pi):
    board = Board(pi.root)
    assert board.observe().memory_percent is None
    pi.memory(used_mib=100)
    pi.temperature(50)
    board = Board(pi.root)
    assert board.observe().temperature_c == 50
    pi.memory(used_mib=300)
    pi.temperature(70)
    assert board.observe().memory_percent == 30
    assert board.observe().temperature_c == 70
    os.remove(f"{pi.root}/sys/class/thermal/thermal_zone0/temp")
    assert board.observe().temperature_c is None


def test_cache_of_files_that_were_read_is_no_shortage(pi):
    pi.memory(used_mib=990, cache_mib=900)
    assert observe(pi).memory_percent == 9


@pytest.mark.parametrize(
    ("high", "maximum", "of", "percent"),
    [
        ("max", 400 * MIB, "max", 50),
        (250 * MIB, 400 * MIB, "high", 80),
    ],
)
def test_high_counts_before_the_limit(pi, high, maximum, of, percent):
    pi.memory(used_mib=200)
    pi.group("memory.high", high)
    pi.group("memory.max", maximum)
    state = observe(pi)
    assert (state.memory_of, state.memory_percent) == (of, percent)


def test_limit_of_a_group_above_counts_with_what_that_group_uses(pi):
    pi.memory(used_mib=200)
    pi.group("memory.high", "max")
    pi.group("memory.high", "max", group="system.slice")
    pi.group("memory.max", 800 * MIB, group="system.slice")
    pi.group("memory.current", 600 * MIB, group="system.slice")
    assert observe(pi).memory_percent == 75


def test_board_counts_where_the_unit_has_no_limit(pi):
    pi.memory(used_mib=200)
    pi.group("memory.high", "max")
    pi.write("proc/meminfo", "MemTotal: 4000 kB\nMemFree: 10 kB\nMemAvailable: 1000 kB\n")
    state = observe(pi)
    assert (state.memory_of, state.memory_percent) == ("the board", 75)


def test_version_1_of_the_control_groups(pi):
    pi.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/box/1\n1:cpu,cpuacct:/\n0::/\n")
    folder = "sys/fs/cgroup/memory/box/1"
    pi.write(f"{folder}/memory.limit_in_bytes", 500 * MIB)
    pi.write(f"{folder}/memory.usage_in_bytes", 300 * MIB)
    pi.write(f"{folder}/memory.stat", f"inactive_file 1\ntotal_inactive_file {50 * MIB}\n")
    state = observe(pi)
    assert (state.memory_bytes, state.memory_of) == (250 * MIB, "max")
    pi.write(f"{folder}/memory.limit_in_bytes", 9223372036854771712)
    assert observe(pi).memory_bytes is None


def test_container_that_sees_its_own_group_as_the_root(pi):
    pi.write("proc/self/cgroup", "0::/\n")
    pi.group("memory.max", 100 * MIB, group=".")
    pi.group("memory.current", 50 * MIB, group=".")
    assert observe(pi).memory_percent == 50


def test_pressure_of_the_whole_board_where_the_unit_has_none(pi):
    pi.memory(used_mib=1)
    pi.pressure("proc/pressure/memory", 7)
    assert observe(pi).memory_pressure == 7
    pi.pressure(f"sys/fs/cgroup/{GROUP}/memory.pressure", 3)
    assert observe(pi).memory_pressure == 3


def test_processor_counts_not_what_else_is_warm(pi):
    pi.temperature(95, zone=0, kind="nvme")
    pi.temperature(55, zone=1)
    assert observe(pi).temperature_c == 55


def test_hottest_zone_counts_where_none_says_that_it_is_the_processor(pi):
    pi.temperature(40, zone=0, kind="acpitz")
    pi.temperature(65, zone=1, kind="x86_pkg_temp")
    assert observe(pi).temperature_c == 65


@pytest.mark.parametrize("text", ["", "max", "some\n", "some avg10=\n", "some avg10=x y", "\xff"])
def test_nonsense_is_the_same_as_nothing(pi, text):
    for name in (
        "proc/pressure/cpu",
        "proc/meminfo",
        f"sys/fs/cgroup/{GROUP}/memory.current",
        f"sys/fs/cgroup/{GROUP}/memory.high",
        f"sys/fs/cgroup/{GROUP}/memory.pressure",
        "sys/class/thermal/thermal_zone0/temp",
        "proc/self/cgroup",
    ):
        pi.write(name, text)
    assert observe(pi) == BoardState()
