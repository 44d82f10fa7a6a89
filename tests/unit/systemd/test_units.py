"""The units as they are rendered for boards of several sizes, and what systemd says to them."""

import re
import shlex
import shutil
import subprocess

import pytest

from backend_worker.config import Config
from backend_worker.worker.telling import PINGS
from tests.unit.systemd.rendering import render, settings, variables

ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")

WORST_EXPOSURE = 1.5
BOARDS = {
    "1 GB, 1 core": {"ram_mib": 900, "cores": 1},
    "2 GB, 2 cores": {"ram_mib": 1850, "cores": 2},
    "2 GB, 4 cores": {"ram_mib": 1850, "cores": 4},
    "4 GB, 4 cores": {"ram_mib": 3800, "cores": 4},
    "8 GB, 4 cores": {"ram_mib": 7900, "cores": 4},
    "music in a home": {"library_music_dir": "/home/pi/Music"},
    "an odd folder": {"library_music_dir": "/srv/Ann's 100 % Müsik; $HOME & `more` (1)"},
    "an odd folder in a home": {"library_music_dir": "/home/pi/My 100 % Müsik, #1 $x; & `y` (1)"},
    "the owner's user": {"library_user": "pi", "library_group": "users"},
    "page for the network": {"dashboard_listen": "0.0.0.0:8337"},
    "cluster": {
        "library_redis_host": "10.0.0.2",
        "library_database_host": "10.0.0.2",
        "groups": {"workers": ["other", "pi"]},
    },
}
boards = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def worker_unit(board):
    return render("celery-worker.service.j2", variables("celery_worker", **board))


def dashboard_units(board):
    values = variables("dashboard", **board)
    names = ("library-dashboard.service", "library-dashboard.socket")
    return {name: render(f"{name}.j2", values) for name in names}


def all_units(board):
    """Return every unit of the board by its file name."""
    schedule = variables("schedule", **board)
    units = {
        "celery-worker.service": worker_unit(board),
        "flower.service": render("flower.service.j2", variables("flower", **board)),
        **dashboard_units(board),
    }
    for job in schedule["__schedule_jobs"]:
        for kind in ("service", "timer"):
            text = render(f"library-job.{kind}.j2", schedule, job=job)
            units[f"library-{job['name']}.{kind}"] = text
    return units


def number(text):
    return int(re.sub(r"\D", "", text))


def write(folder, units):
    """Write units whose programs exist on the machine that tests them."""
    for name, text in units.items():
        runnable = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (folder / name).write_text(runnable, encoding="utf-8")


@boards
def test_memory_and_cpu_leave_the_board_room(board):
    values = variables("celery_worker", **board)
    unit = settings(worker_unit(board))
    [high], [most], [quota] = unit["MemoryHigh"], unit["MemoryMax"], unit["CPUQuota"]
    assert number(most) <= min(2048, values["celery_worker_ram_mib"] // 2)
    assert number(high) < number(most)
    assert number(quota) < 100 * values["celery_worker_cores"]


@boards
def test_children_and_parent_fit_below_memory_high(board):
    values = variables("celery_worker", **board)
    processes = values["celery_worker_autoscale_max"]
    child = values["celery_worker_memory_per_child_mib"]
    assert 1 <= values["celery_worker_autoscale_min"] <= processes
    assert processes <= min(4, values["celery_worker_cores"])
    assert processes * child + 100 <= values["celery_worker_memory_high_mib"]
    # scikit-learn in one process: below it, every task's end would replace the process
    assert child >= 200


def test_a_pi_with_4_gb_gets_what_the_readme_says():
    text = worker_unit(BOARDS["4 GB, 4 cores"])
    assert "--autoscale=4,1" in text
    assert settings(text)["MemoryMax"] == ["1900M"]


def test_stopping_loses_nothing():
    unit = settings(worker_unit({}))
    assert "REMAP_SIGTERM=SIGQUIT" in unit["Environment"]
    assert unit["KillMode"] == ["mixed"]
    assert number(unit["TimeoutStopSec"][0]) >= 30
    assert unit["OOMPolicy"] == ["continue"]


def test_it_is_active_when_it_consumes_and_restarted_when_it_hangs():
    unit = settings(worker_unit({}))
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert number(unit["TimeoutStartSec"][0]) >= 60
    # a Redis that does not answer may hold up the event loop for a time-out of each process
    watchdog = number(unit["WatchdogSec"][0])
    silence = Config().autoscale_max * Config().redis_socket_timeout
    assert watchdog - watchdog / PINGS >= 1.5 * silence


def test_servers_of_this_board_are_waited_for_and_their_restart_is_survived():
    unit = settings(worker_unit({}))
    for server in ("redis-server.service", "postgresql.service"):
        assert server in unit["After"][0].split()
        assert server in unit["Wants"][0].split()
    assert not {"Requires", "BindsTo", "PartOf"} & set(unit)


@pytest.mark.parametrize(
    ("template", "role"),
    [
        ("celery-worker.service.j2", "celery_worker"),
        ("flower.service.j2", "flower"),
        ("library-dashboard.service.j2", "dashboard"),
    ],
)
def test_every_unit_starts_after_a_redis_of_its_own(template, role):
    values = variables(role, library_redis_instance="library")
    after = settings(render(template, values))["After"][0].split()
    assert "redis-server@library.service" in after
    assert "redis-server.service" not in after


def test_servers_of_its_own_are_where_the_worker_looks():
    beside = {"library_redis_instance": "library", "library_postgresql_cluster": "library"}
    worker = variables("celery_worker", **beside)["__celery_worker_settings"]
    redis, postgresql = variables("redis", **beside), variables("postgresql", **beside)
    assert redis["__redis_unit"] == "redis-server@library.service"
    assert worker["redis_url"].endswith("@" + redis["redis_socket"])
    assert redis["redis_socket"] == "/run/redis-library/redis-server.sock"
    assert f" port={postgresql['postgresql_port']} " in worker["database_url"]
    assert postgresql["__postgresql_service"] == "postgresql@17-library.service"


def test_servers_of_debian_stay_where_they_were():
    worker = variables("celery_worker")["__celery_worker_settings"]
    assert worker["redis_url"].endswith("@/run/redis/redis-server.sock")
    assert worker["database_url"].startswith("host=/var/run/postgresql dbname=library")
    assert variables("redis")["__redis_config"] == "/etc/redis/backend-worker.conf"
    assert variables("postgresql")["postgresql_port"] == 5432


def test_servers_elsewhere_need_the_network_instead():
    unit = settings(worker_unit(BOARDS["cluster"]))
    assert unit["Wants"] == ["network-online.target"]
    assert "SupplementaryGroups" not in unit


def test_the_music_is_mounted_before_and_only_read():
    unit = settings(worker_unit({}))
    assert "/srv/music" in shlex.split(unit["RequiresMountsFor"][0])
    assert unit["ReadOnlyPaths"] == ['"/srv/music"']
    assert unit["ProtectSystem"] == ["strict"]


def test_music_in_a_home_can_be_read_and_the_rest_of_the_home_not():
    unit = settings(worker_unit(BOARDS["music in a home"]))
    assert unit["ProtectHome"] == ["tmpfs"]
    assert unit["BindReadOnlyPaths"] == ['"/home/pi/Music"']


READERS = (
    "celery-worker.service",
    "library-dashboard.service",
    "library-scan.service",
    "library-maintenance.service",
)


@boards
def test_all_units_see_the_same_folders_as_the_same_user(board):
    units = [settings(text) for name, text in all_units(board).items() if name in READERS]
    assert len(units) == len(READERS)
    for name in ("ProtectHome", "BindReadOnlyPaths", "ReadOnlyPaths", "User", "Group"):
        assert len({str(unit.get(name)) for unit in units}) == 1, name


def test_an_odd_folder_is_quoted():
    for board in ("an odd folder", "an odd folder in a home"):
        folder = BOARDS[board]["library_music_dir"]
        unit = settings(worker_unit(BOARDS[board]))
        [path] = unit.get("BindReadOnlyPaths") or unit["ReadOnlyPaths"]
        assert path == f'"{folder}"'.replace("%", "%%")
        assert unit["RequiresMountsFor"][0].startswith(path + " ")


def test_all_settings_follow_the_user():
    board = BOARDS["the owner's user"]
    unit = settings(worker_unit(board))
    assert (unit["User"], unit["Group"]) == (["pi"], ["users"])
    worker = variables("celery_worker", **board)
    assert worker["__celery_worker_settings"]["database_url"].split()[-1] == "user=pi"
    assert variables("postgresql", **board)["postgresql_owner"] == "pi"


def test_memory_pressure_can_be_read():
    assert "ProcSubset" not in settings(worker_unit({}))


def test_timers_catch_up_and_do_not_all_start_at_once():
    for name, text in all_units({}).items():
        if name.endswith(".timer"):
            unit = settings(text)
            assert unit["Persistent"] == ["yes"]
            assert unit["RandomizedDelaySec"] != ["0"]


def test_the_page_is_on_loopback_unless_one_variable_says_otherwise():
    units = dashboard_units({})
    assert settings(units["library-dashboard.socket"])["ListenStream"] == ["127.0.0.1:8337"]
    for unit in units.values():
        assert settings(unit)["IPAddressAllow"] == ["localhost"]
    units = dashboard_units(BOARDS["page for the network"])
    assert settings(units["library-dashboard.socket"])["ListenStream"] == ["0.0.0.0:8337"]
    for unit in units.values():
        assert "IPAddressDeny" not in settings(unit)


def test_the_page_starts_with_a_browser_and_not_at_boot():
    units = dashboard_units({})
    assert "WantedBy" not in settings(units["library-dashboard.service"])
    assert settings(units["library-dashboard.socket"])["WantedBy"] == ["sockets.target"]
    # it may end with success, and must not come back by itself then
    assert settings(units["library-dashboard.service"])["Restart"] == ["on-failure"]


def test_every_unit_says_that_ansible_writes_it():
    for text in all_units({}).values():
        assert text.startswith("# Managed by Ansible")


@needs_systemd
@boards
def test_systemd_accepts_every_unit(board, tmp_path):
    units = all_units(board)
    write(tmp_path, units)
    result = subprocess.run(
        [ANALYZE, "verify", "--recursive-errors=no", *(str(tmp_path / name) for name in units)],
        capture_output=True,
        text=True,
        check=False,
    )
    # what it says about units of the testing machine itself is not ours
    ours = [line for line in result.stderr.splitlines() if str(tmp_path) in line]
    assert ours == []
    assert result.returncode == 0, result.stderr


@needs_systemd
@boards
@pytest.mark.parametrize(
    "name", ["celery-worker.service", "flower.service", "library-dashboard.service"]
)
def test_what_is_exposed(board, name, tmp_path):
    write(tmp_path, all_units(board))
    result = subprocess.run(
        [ANALYZE, "security", "--offline=yes", "--no-pager", str(tmp_path / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", result.stdout)
    assert match, result.stdout + result.stderr
    assert float(match[1]) <= WORST_EXPOSURE, result.stdout
