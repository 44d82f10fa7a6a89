"""The order in which the queues are asked."""

from kombu.transport.redis import PRIORITY_STEPS, Channel
from kombu.utils.scheduling import cycle_by_name

from backend_worker.celery_app import app
from backend_worker.queues import QUEUE_NAMES, QUEUES
from backend_worker.worker.fairness import OTHERS_BETWEEN, TurnCycle

LOW = [queue.name for queue in QUEUES if queue.urgency == "low"]
SECONDS = {"low": 30.0, "medium": 10.0}


class Broker:
    """What kombu and Redis do with a cycle: the first list that holds something is served."""

    def __init__(self, **lists):
        self.lists = {name: count for name, count in lists.items() if count}
        self.now = 0.0
        self.at_work = set()
        self.cycle = TurnCycle(SECONDS, lambda: self.at_work, lambda: self.now)
        self.cycle.update(reversed(QUEUE_NAMES))  # in whatever order
        self.keys = []

    def serve(self):
        queues = self.cycle.consume(len(QUEUE_NAMES))
        # as kombu's _brpop_start and _brpop_read
        self.keys = [f"{q}{Channel.sep}{p}" if p else q for p in PRIORITY_STEPS for q in queues]
        found = next((key for key in self.keys if self.lists.get(key)), None)
        if found is None:
            return None
        self.lists[found] -= 1
        queue = found.rsplit(Channel.sep, 1)[0]
        self.cycle.rotate(queue)
        return queue

    def serve_for(self, seconds, each=1.0):
        served = []
        end = self.now + seconds
        while self.now < end:
            self.now += each
            served.append(self.serve())
        return served


def test_worker_uses_it():
    name = app.conf.broker_transport_options["queue_order_strategy"]
    assert cycle_by_name(name) is TurnCycle


def test_strict_order_whatever_order_the_queues_are_named_in():
    broker = Broker(**dict.fromkeys(QUEUE_NAMES, 2))
    served = [broker.serve() for _ in range(16)]
    assert served == [name for name in QUEUE_NAMES for _ in range(2)]
    assert broker.serve() is None


def test_each_list_of_each_queue_is_asked():
    broker = Broker()
    broker.serve()
    expected = {f"{q}{Channel.sep}{p}" if p else q for q in QUEUE_NAMES for p in PRIORITY_STEPS}
    assert set(broker.keys) == expected
    assert len(broker.keys) == len(expected)


def test_each_low_queue_gets_its_turn_while_high_ones_never_end():
    broker = Broker(extract=10_000, scan=10_000, **dict.fromkeys(LOW, 100))
    served = broker.serve_for(200)
    turns = [name for name in served if name in LOW]
    assert turns == (LOW * 2)[: len(turns)]
    assert len(turns) == 6
    assert "scan" not in served


def test_medium_queue_gets_its_turn_more_often():
    broker = Broker(extract=10_000, vector=1000, covers=1000)
    served = broker.serve_for(300)
    assert served.count("vector") > 2 * served.count("covers") > 10
    assert served.count("extract") > 250


def test_no_turn_while_a_task_of_the_same_urgency_is_at_work():
    broker = Broker(extract=10_000, covers=1000, maintenance=1000)
    broker.at_work = {"covers", "extract"}
    assert set(broker.serve_for(500)) == {"extract"}
    broker.at_work = {"extract"}
    assert broker.serve() in LOW


def test_long_tasks_do_not_take_turns_one_by_one():
    broker = Broker(extract=100, covers=100, vector=100)
    served = broker.serve_for(6000, each=60)
    assert served.count("extract") > 60
    assert {"covers", "vector"} <= set(served)
    first = served.index("covers")
    assert "covers" not in served[first + 1 : first + 1 + OTHERS_BETWEEN]


def test_turn_of_empty_queues_costs_nobody_anything():
    broker = Broker(extract=1000)
    assert set(broker.serve_for(500)) == {"extract"}
    broker.lists = {}
    broker.serve_for(100)
    assert len(broker.keys) == len(QUEUE_NAMES) * len(PRIORITY_STEPS)  # idle: no turns offered


def test_low_messages_sent_with_a_priority_get_their_turn_too():
    broker = Broker(**{"extract": 1000, f"covers{Channel.sep}9": 5})
    assert "covers" in broker.serve_for(60)


def test_urgent_work_that_its_sender_put_last_gets_its_turn_among_the_low_ones():
    broker = Broker(**{"extract": 1000, f"insert{Channel.sep}6": 5, "covers": 100})
    served = broker.serve_for(300)
    assert served.count("insert") == 5
    assert served.count("covers") >= 4


def test_message_of_higher_priority_comes_first_within_its_queue():
    broker = Broker(**{"batch": 1, f"batch{Channel.sep}3": 1})
    broker.serve()
    assert broker.lists == {"batch": 0, f"batch{Channel.sep}3": 1}


def test_queue_that_is_not_ours_comes_last():
    broker = Broker(celery=1, maintenance=1)
    broker.cycle.update(["celery", *QUEUE_NAMES])
    assert [broker.serve(), broker.serve()] == ["maintenance", "celery"]
