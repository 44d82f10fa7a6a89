"""The command line on real servers: output for people and programs, exit codes, errors."""

import json
import os
import re
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from backend_worker.cli import main
from backend_worker.library.sample import make_library
from tests.support.waiting import WAIT_SECONDS

TRACKS = 44


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli") / "music"
    make_library(str(root), tracks=TRACKS)
    return str(root)


@pytest.fixture
def run(capsys):
    """Run a command in this process; return exit code, standard output and error."""

    def run(*arguments):
        capsys.readouterr()
        code = main(list(arguments))
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def scanned(library, worker, music, run):
    code, _, _ = run("scan", music, "--follow")
    assert code == 0
    library.settle()


def run_process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "backend_worker", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_follow_ends_with_a_summary(library, worker, music, run):
    code, out, _ = run("scan", music, "--follow")
    assert code == 0
    assert re.search(r"status +│ completed", out)
    assert re.search(r"stored +│ 44", out)


def test_follow_as_json_ends_with_the_final_figures(library, worker, music, run):
    code, out, _ = run("scan", music, "--follow", "--json")
    assert code == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines[-1]["status"] == "completed"
    assert lines[-1]["stored"] == TRACKS
    for line in lines:
        parts = ("stored", "unchanged", "failed", "ignored", "waiting")
        assert line["found"] == sum(line[part] for part in parts)


def test_search_finds_and_says_so_when_it_does_not(scanned, run):
    code, out, _ = run("search", "Compilation", "--json", "--limit", "3")
    assert code in {0, 4}
    code, out, _ = run("search", "--json", "emile")
    tracks = json.loads(out)
    assert code == 0
    assert any("Émile" in track["artist"] for track in tracks)
    code, out, _ = run("search", "zzzzqqqq")
    assert code == 4
    assert "no track matches" in out


def test_similar_by_number_and_by_words(scanned, library, run):
    [(track_id,)] = library.rows("SELECT min(track_id) FROM track_vector")
    code, out, _ = run("similar", str(track_id), "--json", "--limit", "5")
    answer = json.loads(out)
    assert code == 0
    assert answer["track"]["id"] == track_id
    assert len(answer["similar"]) == 5
    scores = [track["score"] for track in answer["similar"]]
    assert scores == sorted(scores, reverse=True)
    code, out, _ = run("similar", answer["track"]["title"])
    assert code == 0
    code, _, err = run("similar", "99999999")
    assert code == 4
    assert "no track matches" in err


def test_failures_name_the_file_and_the_reason(scanned, run):
    code, out, _ = run("failures", "--json")
    reasons = {os.path.basename(row["path"]): row["reason"] for row in json.loads(out)}
    assert code == 0
    assert reasons["empty.mp3"] == "the file is empty"
    code, out, _ = run("failures")
    assert "the file is empty" in out


def test_retry_reads_failed_files_again(scanned, run, library):
    code, out, _ = run("retry", "--json")
    library.settle()
    assert code == 0
    assert json.loads(out) == {"files": 4}
    assert library.rows("SELECT count(*) FROM file WHERE state = 'failed'") == [(4,)]


def test_status_shows_worker_queues_scans_and_library(scanned, run):
    code, out, _ = run("status", "--json")
    report = json.loads(out)
    assert code == 0
    [one] = report["workers"]
    assert one["name"].startswith("celery-worker@")
    assert (one["min_processes"], one["max_processes"]) == (1, 4)
    assert 1 <= one["processes"] <= 4
    assert one["tasks_done"] > 0
    # a Python process with Celery is no smaller, and no worker as large as that
    assert 20e6 < one["pss_bytes"] < 1e9
    assert 0.1 < one["cpu_seconds"] < 1000
    assert one["scans"] == []
    assert set(report["queues"]) == {
        "scan", "extract", "batch", "insert", "vector", "deferred", "covers", "maintenance"
    }  # fmt: skip
    assert report["library"]["tracks"] == TRACKS
    code, out, _ = run("status")
    assert "celery-worker@" in out
    assert re.search(r"processes +│ \d of 1 to 4, \d busy", out)
    assert re.search(r"memory +│ \d+ MB in all its processes", out)


def test_status_in_prometheus_format_is_what_its_parser_takes(scanned, run):
    code, out, _ = run("status", "--prometheus")
    assert code == 0
    metrics = {family.name: family for family in text_string_to_metric_families(out)}
    for name in ("processes", "memory_pss_bytes", "cpu_seconds", "files_per_second"):
        assert len(metrics[f"backend_worker_{name}"].samples) == 1
    assert metrics["backend_worker_tasks"].type == "counter"
    [tracks] = metrics["backend_worker_library_tracks"].samples
    assert tracks.value == TRACKS
    lengths = {s.labels["queue"]: s.value for s in metrics["backend_worker_queue_messages"].samples}
    assert len(lengths) == 8
    assert all(family.documentation for family in metrics.values())


def test_cancel_without_a_scan(library, worker, run):
    code, out, _ = run("cancel")
    assert (code, out.strip()) == (4, "no scan is running")


def test_scan_without_follow_says_how_to_see_it(library, worker, music, run):
    code, out, _ = run("scan", music)
    assert code == 0
    assert "scan 1 is queued" in out
    library.ended(1)


def test_scan_of_a_running_folder_is_refused_with_its_number(library, music, run):
    from backend_worker.storage import scans

    scans.begin(os.fsencode(music), "a message that nobody takes")
    code, _, err = run("scan", music)
    assert code == 5
    assert "scan 1 of" in err
    assert "backend-worker cancel 1" in err


def test_scan_without_a_folder_names_the_setting(library, run):
    code, _, err = run("scan")
    assert code == 2
    assert "BACKEND_WORKER_MUSIC_DIR" in err


@pytest.mark.parametrize("command", [["status"], ["search", "x"], ["scan", "/"], ["failures"]])
def test_absent_postgresql_is_a_sentence_not_a_stack_trace(servers, tmp_path, command):
    result = run_process(*command, BACKEND_WORKER_DATABASE_URL=f"host={tmp_path} dbname=library")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "PostgreSQL is not available" in result.stderr
    assert "backend-worker doctor" in result.stderr


@pytest.mark.parametrize("command", [["status"], ["retry"]])
def test_absent_redis_is_a_sentence_not_a_stack_trace(servers, tmp_path, command):
    result = run_process(*command, BACKEND_WORKER_REDIS_URL=f"redis+socket://{tmp_path}/none.sock")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "Redis is not available" in result.stderr


def test_scan_without_redis_leaves_nothing_behind(library, tmp_path, music):
    result = run_process(
        "scan", music, BACKEND_WORKER_REDIS_URL=f"redis+socket://{tmp_path}/none.sock"
    )
    assert result.returncode == 3
    assert library.rows("SELECT status FROM scan") == []


def test_misspelt_setting_is_refused(servers):
    result = run_process("config", BACKEND_WORKER_BATCHSIZE="3")
    assert result.returncode == 2
    assert "did you mean BACKEND_WORKER_BATCH_SIZE?" in result.stderr


def test_config_tells_where_each_value_comes_from(servers):
    result = run_process("config", "--json", BACKEND_WORKER_BATCH_SIZE="100")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows["batch_size"]["value"] == 100
    assert rows["batch_size"]["source"] == "environment"
    assert rows["task_time_limit"]["source"] == "default"


def test_help_documents_the_exit_codes():
    result = run_process("--help")
    assert result.returncode == 0
    assert "3 server away" in result.stdout


def test_output_into_a_closed_pipe_is_no_error(scanned):
    result = subprocess.run(
        f"{sys.executable} -m backend_worker failures --json | head -c 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout == "["
    assert result.stderr == ""


def test_second_worker_of_the_same_name_does_not_start(library, worker, run):
    result = run_process("worker")
    assert result.returncode == 5
    assert re.fullmatch(
        r"backend-worker: a worker celery-worker@\S+ runs already.*\n", result.stderr
    )
    assert worker.poll() is None
    assert run("status")[0] == 0
