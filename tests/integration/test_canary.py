"""The canary through each queue of a real worker, and what it says when one stays out."""

import json

import pytest

from backend_worker.celery_app import app
from backend_worker.cli import main
from backend_worker.queues import QUEUE_NAMES


@pytest.fixture
def run(capsys):
    def run(*arguments):
        capsys.readouterr()
        code = main(list(arguments))
        return code, capsys.readouterr()

    return run


@pytest.fixture
def without_covers(worker):
    """The worker does not serve the queue ``covers`` for the time of a test."""
    app.control.cancel_consumer("covers", reply=True)
    yield
    app.control.add_consumer("covers", reply=True)


# The first of this module: the others start its worker.
def test_without_a_worker_it_says_so(library, run):
    code, output = run("canary", "--timeout", "1")
    assert code == 3
    assert "no worker answers" in output.err


def test_a_canary_comes_back_from_every_queue(library, worker, run):
    code, output = run("canary", "--json")
    flights = json.loads(output.out)
    assert code == 0
    assert [flight["queue"] for flight in flights] == list(QUEUE_NAMES)
    assert {flight["state"] for flight in flights} == {"returned"}
    assert all(0 < flight["seconds"] < 30 for flight in flights)


def test_people_get_a_table(library, worker, run):
    code, output = run("canary")
    assert code == 0
    for name in QUEUE_NAMES:
        assert name in output.out


def test_a_queue_that_nobody_serves_is_named_and_fails(library, without_covers, run):
    code, output = run("canary", "--json", "--timeout", "15", "--allow-busy")
    states = {flight["queue"]: flight["state"] for flight in json.loads(output.out)}
    assert code == 3
    assert states.pop("covers") == "lost"
    assert set(states.values()) == {"returned"}


def test_canaries_leave_no_results_behind(library, worker, run):
    from backend_worker.progress.connection import redis_client

    run("canary")
    assert redis_client().keys("celery-task-meta-*") == []
