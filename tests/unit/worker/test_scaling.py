"""Decisions of the autoscaler: single ones from a table, whole days by property."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.config import Config
from backend_worker.worker.autoscaler import cpu_fewest, limits_from
from backend_worker.worker.board import BoardState
from backend_worker.worker.scaling import Memory, Sight, decide

LIMITS = dataclasses.replace(limits_from(Config(), fewest=1, most=4), cpu_fewest=3)
FINE = BoardState(100, 1000, "high", 0.0, 10.0, 50.0)
IDLE, STEP, HOLD = LIMITS.idle_seconds, LIMITS.step_seconds, LIMITS.hold_seconds


def board(**figures):
    if "memory" in figures:
        figures["memory_bytes"] = 10 * figures.pop("memory")
    return dataclasses.replace(FINE, **figures)


class Worker:
    """Does what is decided; processes go only when they are free."""

    def __init__(self, limits=LIMITS):
        self.limits = limits
        self.memory = Memory(processes=limits.fewest)
        self.running = limits.fewest
        self.now = 1000.0
        self.lines = []
        self.decision = None

    def look(self, reserved=0, waiting=0, board=FINE, after=1.0, busy=0):
        self.now += after
        sight = Sight(
            now=self.now, running=self.running, reserved=reserved, waiting=waiting, board=board
        )
        before = self.memory.processes
        self.decision = decide(self.memory, sight, self.limits)
        self.memory = self.decision.memory
        if self.decision.processes != before:
            self.lines.append(f"{before}→{self.decision.processes}: {self.decision.reason}")
        self.running = max(self.decision.processes, min(self.running, busy))
        return self.decision.processes

    def looks(self, seconds, **what):
        return [self.look(**what) for _ in range(int(seconds))]


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def busy(worker):
    worker.look(reserved=4, waiting=308)
    worker.lines.clear()
    return worker


@pytest.mark.parametrize(
    ("reserved", "waiting", "processes", "lines"),
    [
        (0, 0, 1, []),
        (1, 0, 1, []),
        (1, 1, 2, ["1→2: 2 queued"]),
        (2, 0, 2, ["1→2: 2 queued"]),
        (4, 308, 4, ["1→4: 312 queued"]),
        (0, 3, 3, ["1→3: 3 queued"]),
    ],
)
def test_up_at_once_to_what_the_work_needs(worker, reserved, waiting, processes, lines):
    assert worker.look(reserved, waiting) == processes
    assert worker.lines == lines


def test_down_when_there_was_no_work_for_a_while(busy):
    assert set(busy.looks(IDLE - 1)) == {4}
    assert busy.look() == 1
    assert busy.lines == ["4→1: idle for 30 s"]


def test_work_in_between_starts_the_while_again(busy):
    busy.looks(IDLE - 5)
    busy.look(reserved=4)
    assert set(busy.looks(IDLE - 1)) == {4}
    assert busy.look() == 1


def test_down_to_what_was_enough(busy):
    for n in range(int(IDLE)):
        busy.look(reserved=1 + n % 2)
    assert busy.lines == ["4→2: no more than 2 busy for 30 s"]
    busy.looks(IDLE, reserved=1)
    assert busy.lines[1:] == ["2→1: no more than 1 busy for 30 s"]


@pytest.mark.parametrize(
    ("figures", "line"),
    [
        ({"temperature_c": 76.2}, "4→3: 76 °C"),
        ({"cpu_pressure": 93.0}, "4→3: cpu pressure 93 %"),
        ({"memory_pressure": 25.0}, "4→3: memory pressure 25 %"),
        ({"memory": 86}, "4→3: memory 86 % of high"),
        ({"memory": 92}, "4→2: memory 92 % of high"),
        ({"memory": 97}, "4→1: memory 97 % of high"),
        ({"memory": 140}, "4→1: memory 140 % of high"),
        ({"memory": 92, "memory_of": "the board"}, "4→2: memory 92 % of the board"),
        ({"memory": 92, "temperature_c": 80.0}, "4→2: memory 92 % of high"),
    ],
)
def test_shortage_takes_processes_away_and_says_so(busy, figures, line):
    busy.look(reserved=4, board=board(**figures))
    assert busy.lines == [line]
    assert busy.decision.shortage


@pytest.mark.parametrize(
    "figures",
    [
        {"memory": 85, "memory_pressure": 20.0, "cpu_pressure": 90.0, "temperature_c": 75.0},
        {
            "memory_bytes": None,
            "memory_pressure": None,
            "cpu_pressure": None,
            "temperature_c": None,
        },
    ],
    ids=["at the limits", "nothing known"],
)
def test_no_shortage(busy, figures):
    assert set(busy.looks(100, reserved=4, board=board(**figures))) == {4}


def test_one_step_at_a_time(busy):
    busy.looks(3 * STEP, reserved=4, board=board(temperature_c=82))
    assert busy.lines == ["4→3: 82 °C", "3→2: 82 °C", "2→1: 82 °C"]
    assert set(busy.looks(100, reserved=4, board=board(temperature_c=82))) == {1}


def test_no_further_step_before_the_last_one_was_made(busy):
    hot = board(temperature_c=78)
    busy.looks(100, reserved=4, board=hot, busy=4)  # all four have long tasks
    assert busy.lines == ["4→3: 78 °C"]
    busy.looks(2, reserved=3, board=hot, busy=3)
    assert busy.lines == ["4→3: 78 °C", "3→2: 78 °C"]


def test_up_again_when_all_is_well_for_a_while(busy):
    busy.looks(2 * STEP, reserved=4, board=board(temperature_c=76))
    busy.lines.clear()
    busy.looks(10 * HOLD, reserved=2, waiting=98, board=board(temperature_c=72))
    assert busy.lines == []
    busy.looks(2 * HOLD + 1, reserved=2, waiting=98, board=board(temperature_c=69))
    assert busy.lines == ["2→3: 100 queued, at most 3 after 76 °C", "3→4: 100 queued"]


def test_idle_board_recovers_with_few_looks(busy):
    busy.looks(2 * STEP, reserved=4, board=board(temperature_c=76))
    busy.looks(IDLE)
    for _ in range(6):
        busy.look(after=30)
    assert busy.look(reserved=4) == 4


def test_work_that_comes_during_a_shortage_gets_what_there_is(worker):
    worker.looks(5, board=board(memory=99))
    assert worker.look(reserved=1, waiting=50, board=board(memory=99)) == 1
    assert worker.lines == []
    assert worker.decision.held_back == "51 queued, at most 1 after memory 99 % of high"
    worker.look(reserved=1, board=board(memory=99))
    assert worker.decision.held_back == ""


@pytest.mark.parametrize(("cores", "fewest"), [(1, 1), (2, 2), (3, 2), (4, 3), (8, 7)])
def test_cpu_pressure_leaves_all_cores_but_one(cores, fewest):
    assert cpu_fewest(cores) == fewest


def test_a_scan_that_fills_the_board_is_not_throttled_for_that(busy):
    busy.looks(300, reserved=4, board=board(cpu_pressure=99))
    assert busy.lines == ["4→3: cpu pressure 99 %"]


def test_work_comes_while_others_fill_the_board(worker):
    worker.looks(60, board=board(cpu_pressure=99))
    assert worker.look(reserved=4, waiting=300, board=board(cpu_pressure=99)) == 3


def test_heat_goes_below_what_cpu_pressure_leaves(busy):
    busy.looks(300, reserved=4, board=board(cpu_pressure=99, temperature_c=80))
    assert busy.memory.processes == 1


def test_up_step_that_was_too_early_is_tried_later_each_time(busy):
    """As pressure that the processes make themselves."""
    waits, since = [], None
    for _ in range(4000):
        pressed = board(cpu_pressure=95 if busy.memory.processes == 4 else 40)
        busy.look(reserved=4, board=pressed)
        if busy.lines:
            if busy.lines[-1].startswith("4→3"):
                since = busy.now
            elif since:
                waits.append(busy.now - since)
            busy.lines.clear()
    assert waits == sorted(waits)
    assert waits[-1] >= 10 * HOLD
    assert len(waits) < 12


@pytest.mark.parametrize(
    ("limits", "line"),
    [({"most": 2}, "4→2: limits 1 to 2"), ({"fewest": 6, "most": 8}, "4→6: limits 6 to 8")],
)
def test_other_limits_count_at_once(busy, limits, line):
    busy.limits = dataclasses.replace(LIMITS, **limits)
    busy.look(reserved=4)
    assert busy.lines == [line]


percents = st.one_of(st.none(), st.floats(0, 150))
boards = st.builds(
    BoardState,
    memory_bytes=st.one_of(st.none(), st.integers(0, 1500)),
    memory_high_bytes=st.one_of(st.none(), st.just(1000)),
    memory_pressure=percents,
    cpu_pressure=percents,
    temperature_c=percents,
)
events = st.lists(
    st.tuples(
        st.integers(0, 12), st.integers(0, 1000), boards, st.floats(0.01, 90), st.integers(0, 9)
    ),
    max_size=40,
)
ranges = st.tuples(st.integers(1, 4), st.integers(0, 5)).map(
    lambda pair: dataclasses.replace(LIMITS, fewest=pair[0], most=sum(pair))
)


def replay(worker, day):
    for reserved, waiting, state, after, busy in day:
        yield worker.look(reserved, waiting, state, after, busy), state


@given(ranges, events)
def test_always_within_the_limits_and_the_bound(limits, day):
    worker = Worker(limits)
    for processes, _ in replay(worker, day):
        assert limits.fewest <= processes <= worker.decision.bound <= limits.most
        assert worker.memory.processes == processes


@given(events)
def test_reason_and_numbers_with_each_change_and_only_then(day):
    worker = Worker()
    before = worker.memory.processes
    for processes, _ in replay(worker, day):
        changed = processes != before
        assert bool(worker.decision.reason) == changed
        assert not changed or any(letter.isdigit() for letter in worker.decision.reason)
        before = processes


@given(events, st.integers(0, 20), st.integers(0, 20), boards)
def test_more_work_never_means_fewer_processes(day, less, more, state):
    worker = Worker()
    list(replay(worker, day))
    counts = []
    for reserved in sorted((less, more)):
        sight = Sight(now=worker.now + 1, running=worker.running, reserved=reserved, board=state)
        counts.append(decide(worker.memory, sight, LIMITS).processes)
    assert counts == sorted(counts)


@given(events)
def test_shortage_never_means_more_processes(day):
    worker = Worker()
    list(replay(worker, day))
    bound = worker.memory.bound or LIMITS.most
    worker.look(reserved=9, board=board(temperature_c=90), after=0.5)
    assert worker.decision.bound <= bound


@given(st.lists(st.floats(70, 75), min_size=1, max_size=200))
def test_noise_within_the_band_changes_nothing(degrees):
    worker = Worker()
    worker.look(reserved=4)
    worker.look(reserved=4, board=board(temperature_c=76))
    worker.lines.clear()
    for value in degrees:
        worker.look(reserved=4, board=board(temperature_c=value))
    assert worker.lines == []


@given(events)
def test_after_an_hour_of_calm_nothing_is_held_back(day):
    worker = Worker()
    list(replay(worker, day))
    for _ in range(120):
        worker.look(after=30)
    assert worker.memory.processes == 1
    assert worker.look(reserved=4) == 4
