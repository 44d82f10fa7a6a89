"""One process when idle, four under load, never more than the board bears; and nothing lost."""

import json
import random
import re
import time
from collections import Counter

import psutil
import pytest

from backend_worker.queues import QUEUE_NAMES
from tests.support.fake_board import FakeBoard
from tests.support.nap_worker import OUR_APP, QUEUE, Naps, nap_worker
from tests.support.naps import HEAVY_MIB, NAP_HEAVY
from tests.support.waiting import WAIT_SECONDS, wait_for

DATABASE, DEPOT = 2, 3  # of Redis; nobody takes messages from the depot
IDLE_SECONDS = 1.5
SETTINGS = {
    "BACKEND_WORKER_SCALE_DOWN_AFTER_SECONDS": str(IDLE_SECONDS),
    "BACKEND_WORKER_AUTOSCALE_HOLD_SECONDS": "1.5",
}


@pytest.fixture(scope="module")
def pi(tmp_path_factory):
    return FakeBoard(tmp_path_factory.mktemp("board"))


@pytest.fixture(scope="module")
def naps(servers, tmp_path_factory):
    return Naps(servers.redis, tmp_path_factory.mktemp("naps"), database=DATABASE)


@pytest.fixture(scope="module")
def depot(servers, tmp_path_factory):
    return Naps(servers.redis, tmp_path_factory.mktemp("depot"), database=DEPOT)


@pytest.fixture(scope="module")
def shared_worker(naps, pi):
    make_well(pi)
    naps.redis.flushdb()
    with nap_worker(naps, OUR_APP, BACKEND_WORKER_SYSTEM_ROOT=pi.root, **SETTINGS) as worker:
        yield worker


@pytest.fixture
def worker(shared_worker, naps, pi):
    make_well(pi)
    wait_for(lambda: children(shared_worker) == 1, what="a worker with one process")
    wait_for(lambda: autoscaler(naps)["bound"] is None, what="the end of the last shortage")
    naps.wait_until_empty()
    shared_worker.skip = len(shared_worker.log())
    return shared_worker


def make_well(pi):
    pi.memory(used_mib=100)
    pi.temperature(50)


def autoscaler(naps):
    """Return what the worker tells of its autoscaler."""
    with naps.app.connection_for_write() as connection:  # a test cuts those that are kept
        replies = naps.app.control.broadcast(
            "stats", reply=True, timeout=WAIT_SECONDS, limit=1, connection=connection
        )
    [reply] = [next(iter(reply.values())) for reply in replies]
    return reply["autoscaler"]


def children(worker):
    return len(pids(worker))


def pids(worker):
    return {child.pid for child in psutil.Process(worker.process.pid).children()}


def changes(worker):
    """Return the lines of the autoscaler since the test began, without date and logger."""
    return re.findall(r"autoscale (\d→\d: .*)", worker.log()[worker.skip :])


def wait_until_down(worker):
    """Wait for one process, and check that the lines tell of it step by step."""
    # the last of several tasks may be the only one for a while
    last = re.compile(rf"\d→1: (idle|no more than 1 busy) for {IDLE_SECONDS} s")
    wait_for(lambda: last.fullmatch("".join(changes(worker)[-1:])), what="the last line")
    wait_for(lambda: children(worker) == 1, what="one process")
    steps = [re.match(r"(\d)→(\d)", line).groups() for line in changes(worker)]
    assert [before for before, _ in steps] == ["1", *(after for _, after in steps[:-1])]
    return steps


def send_at_once(naps, depot, count, seconds, queue=QUEUE):
    """Send naps so that the worker sees all of them in the same moment."""
    depot.redis.flushdb()
    tasks = depot.send(count, seconds, queue=queue)
    # Redis refuses while a message of the worker's own still waits there
    wait_for(lambda: depot.redis.move(queue, DATABASE), what="an empty queue")
    return tasks


def test_from_one_to_four_and_back(worker, naps, depot):
    tasks = send_at_once(naps, depot, count=30, seconds=0.3)
    wait_for(lambda: children(worker) == 4, what="four processes")
    naps.wait_for("end", tasks)
    ended = time.monotonic()
    wait_until_down(worker)
    assert time.monotonic() - ended > IDLE_SECONDS - 0.5
    assert changes(worker)[0] == "1→4: 30 queued"
    assert naps.times("start") == naps.times("end") == Counter(tasks)
    assert naps.most_at_once() == 4


@pytest.mark.slow
def test_changes_are_told_to_whom_it_concerns(worker, naps, depot):
    send_at_once(naps, depot, count=2, seconds=0.5)
    wait_until_down(worker)
    [event] = [fields for _, fields in naps.redis.xrevrange("backend_worker:progress", count=1)]
    assert event[b"kind"] == b"worker.scaled"
    details = json.loads(event[b"details"])
    assert f"{details['from']}→{details['to']}: {details['reason']}" == changes(worker)[-1]
    told = autoscaler(naps)
    assert told["current"] == 1
    assert told["last"]["reason"] == details["reason"]
    assert told["changes"] >= 2


@pytest.mark.slow
def test_lines_have_the_word_and_celerys_own_are_not_there(worker, naps, depot):
    send_at_once(naps, depot, count=4, seconds=0.2)
    wait_until_down(worker)
    assert not re.search(r"scaling (up|down)", worker.log(), re.IGNORECASE)
    assert "autoscale does without: memory pressure, cpu pressure\n" in worker.log()
    assert worker.log().count("does without") == 1


@pytest.mark.slow
def test_nothing_is_lost_or_done_twice_while_processes_come_and_go(worker, naps):
    """Bursts come just when processes go."""
    chance = random.Random(7)
    sent = []
    for burst in range(8):
        for _ in range(12):
            sent += naps.send(1, seconds=chance.choice([0, 0.01, 0.2]))
        naps.wait_for("end", sent)
        if burst % 2:
            wait_for(lambda: children(worker) == 1, what="one process")
        else:
            time.sleep(IDLE_SECONDS + chance.uniform(-0.5, 1.0))
    naps.wait_until_empty()
    assert sum("→1: " in line for line in changes(worker)) >= 3
    times = naps.times("start")
    assert {times[task] for task in sent} == {1}
    assert {naps.times("end")[task] for task in sent} == {1}
    assert "exited with" not in worker.log()
    assert "WorkerLost" not in worker.log()


@pytest.mark.slow
def test_process_that_holds_much_memory_is_replaced_when_idle(worker, naps):
    before = pids(worker)
    naps.wait_for("end", naps.send(1, seconds=0.1, name=NAP_HEAVY))
    wait_for(lambda: "is replaced by a fresh one" in worker.log(), what="a replacement")
    [held] = re.findall(r"an idle process that held (\d+) MiB is replaced", worker.log())
    assert HEAVY_MIB <= int(held) < HEAVY_MIB + 60
    wait_for(lambda: children(worker) == 1 and pids(worker) != before, what="a fresh process")
    naps.wait_for("end", naps.send(3, seconds=0))
    time.sleep(IDLE_SECONDS + 2)
    assert worker.log().count("is replaced by a fresh one") == 1


@pytest.mark.slow
def test_heavy_processes_go_first(worker, naps, depot):
    first = pids(worker)
    naps.wait_for("end", naps.send(1, seconds=0, name=NAP_HEAVY))
    naps.wait_for("end", send_at_once(naps, depot, count=4, seconds=0.5))
    wait_for(lambda: children(worker) == 1, what="one process")
    assert not first & pids(worker)
    time.sleep(2)
    assert worker.log()[worker.skip :].count("is replaced by a fresh one") == 0


@pytest.mark.slow
def test_limits_can_be_changed_by_remote_control(worker, naps, depot):
    def autoscale(most, fewest):
        [reply] = naps.app.control.broadcast(
            "autoscale",
            arguments={"max": most, "min": fewest},
            reply=True,
            timeout=WAIT_SECONDS,
            limit=1,
        )
        return next(iter(reply.values()))

    assert "is not possible" in autoscale(1, 2)["error"]
    try:
        assert autoscale(3, 2) == {"ok": "autoscale now max=3 min=2"}
        wait_for(lambda: children(worker) == 2, what="two processes")
        tasks = send_at_once(naps, depot, count=12, seconds=0.3)
        wait_for(lambda: children(worker) == 3, what="three processes")
        naps.wait_for("end", tasks)
        wait_for(lambda: children(worker) == 2, what="two processes")
    finally:
        autoscale(4, 1)
    assert changes(worker)[0] == "1→2: limits 2 to 3"
    wait_for(lambda: children(worker) == 1, what="one process")
    tasks = send_at_once(naps, depot, count=12, seconds=0.3)
    wait_for(lambda: children(worker) == 4, what="four processes")
    naps.wait_for("end", tasks)


@pytest.mark.slow
def test_scales_as_before_after_a_reconnect(worker, naps, depot):
    connections = worker.log().count("Connected to")
    naps.redis.client_kill_filter(_type="normal", skipme=True)
    worker.wait_for_log("Connected to", times=connections + 1)
    naps.wait_for("end", send_at_once(naps, depot, count=20, seconds=0.3))
    assert wait_until_down(worker)[0] == ("1", "4")


def at_once_after(naps, tasks, moment):
    """Return how many of these naps ran at the same time, at most, of those begun later."""
    lines = [line.split() for line in naps.journal.read_text().splitlines()]
    marks = sorted((float(when), event) for event, task, when in lines if task in tasks)
    most = running = 0
    for when, event in marks:
        running += 1 if event == "start" else -1
        if when > moment:
            most = max(most, running)
    return most


def test_shortage_takes_processes_away_after_their_tasks(worker, naps, depot, pi):
    tasks = send_at_once(naps, depot, count=120, seconds=0.4)
    wait_for(lambda: children(worker) == 4, what="four processes")
    pi.memory(used_mib=920)
    wait_for(lambda: len(changes(worker)) == 2, what="a step down")
    assert changes(worker)[1] == "4→2: memory 92 % of high"
    pi.memory(used_mib=800)  # neither short nor well: it stays as it is
    wait_for(lambda: children(worker) == 2, what="two processes")
    moment = time.monotonic() + 0.1
    time.sleep(3)
    assert children(worker) == 2
    assert at_once_after(naps, set(tasks), moment) == 2

    make_well(pi)
    wait_for(lambda: children(worker) == 4, what="four processes")
    naps.wait_for("end", tasks)
    up = changes(worker)[2:4]
    assert re.fullmatch(r"2→3: \d+ queued, at most 3 after memory 92 % of high", up[0])
    assert re.fullmatch(r"3→4: \d+ queued", up[1])
    assert {naps.times("start")[task] for task in tasks} == {1}
    assert {naps.times("end")[task] for task in tasks} == {1}


def test_heat_takes_one_process_after_another(worker, naps, depot, pi):
    tasks = send_at_once(naps, depot, count=20, seconds=0.4)
    wait_for(lambda: children(worker) == 4, what="four processes")
    pi.temperature(76)
    wait_for(lambda: len(changes(worker)) == 2, what="a step down")
    pi.temperature(78)
    wait_for(lambda: children(worker) == 1, what="one process")
    assert changes(worker)[1:] == ["4→3: 76 °C", "3→2: 78 °C", "2→1: 78 °C"]
    make_well(pi)
    naps.wait_for("end", tasks)
    assert {naps.times("start")[task] for task in tasks} == {1}


@pytest.mark.slow
def test_work_that_comes_while_the_board_is_short_is_told_of_once(worker, naps, depot, pi):
    pi.memory(used_mib=990)
    tasks = send_at_once(naps, depot, count=10, seconds=0.3)
    naps.wait_for("end", tasks)
    assert children(worker) == 1
    told = re.findall(r"autoscale stays at .*", worker.log()[worker.skip :])
    assert told == ["autoscale stays at 1: 10 queued, at most 1 after memory 99 % of high"]
    assert changes(worker) == []


def executed(naps, tasks_by_queue):
    """Return the queues in the order in which their naps began."""
    queue_of = {task: queue for queue, tasks in tasks_by_queue.items() for task in tasks}
    return [queue_of[task] for event, task in naps.events() if event == "start"]


@pytest.fixture
def filled(servers, tmp_path):
    """Naps on a database of their own, for a worker that has one process."""
    naps = Naps(servers.redis, tmp_path, database=4)
    naps.redis.flushdb()
    return naps


def test_order_of_execution_is_that_of_the_queue_table(filled):
    tasks = {name: filled.send(3, seconds=0, queue=name) for name in reversed(QUEUE_NAMES)}
    tasks["batch"] = filled.send(1, seconds=0, queue="batch", priority=3) + tasks["batch"]
    with nap_worker(filled, OUR_APP, BACKEND_WORKER_AUTOSCALE_MAX="1"):
        filled.wait_for("end", [task for sent in tasks.values() for task in sent])
    order = executed(filled, tasks)
    in_order = [name for name in QUEUE_NAMES for _ in range(3)]
    assert order == [*in_order, "batch"]  # a priority puts it behind all without


@pytest.mark.slow
def test_low_and_medium_queues_get_their_turn_while_high_ones_are_full(filled):
    counts = {"extract": 150, "scan": 20, "vector": 8, "covers": 4, "maintenance": 4}
    tasks = {name: filled.send(count, seconds=0.03, queue=name) for name, count in counts.items()}
    turns = {"BACKEND_WORKER_MEDIUM_TURN_SECONDS": "0.5", "BACKEND_WORKER_LOW_TURN_SECONDS": "1"}
    with nap_worker(filled, OUR_APP, BACKEND_WORKER_AUTOSCALE_MAX="1", **turns):
        filled.wait_for("end", [task for sent in tasks.values() for task in sent])
    order = executed(filled, tasks)
    while_busy = order[: len(order) - 1 - order[::-1].index("extract")]
    assert while_busy.count("vector") >= 3
    low = [name for name in while_busy if name in {"covers", "maintenance"}]
    assert len(low) >= 2
    assert low[:2] == ["covers", "maintenance"]
    assert "scan" not in while_busy
