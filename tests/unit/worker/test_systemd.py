"""sd_notify: what is sent, and that nothing which goes wrong is felt."""

import os
import socket

import pytest

from backend_worker.worker import systemd
from backend_worker.worker.systemd import EXTENSION_SECONDS, Notifier, forget_in_child


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        yield listener


def notifier_for(listener, **environment):
    address = listener.getsockname()
    if isinstance(address, bytes):
        address = "@" + address[1:].decode()
    return Notifier({"NOTIFY_SOCKET": address, **environment})


def received(listener):
    messages = []
    while True:
        try:
            messages.append(
                dict(line.split("=", 1) for line in listener.recv(9999).decode().split("\n"))
            )
        except BlockingIOError:
            return messages


def test_ready_is_said_once(listener):
    notifier = notifier_for(listener)
    notifier.ready()
    notifier.ready()
    assert received(listener) == [{"READY": "1", "WATCHDOG": "1"}]
    assert notifier.consumes


def test_abstract_socket():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0backend-worker-test-{os.getpid()}")
        listener.setblocking(False)
        notifier_for(listener).ping()
        assert received(listener) == [{"WATCHDOG": "1"}]


def test_status_is_one_line_and_not_said_twice(listener):
    notifier = notifier_for(listener)
    notifier.status("1/4 processes ·\nidle")
    notifier.status("1/4 processes · idle")
    assert received(listener) == [{"STATUS": "1/4 processes · idle"}]
    notifier.waiting("Redis")
    notifier.status("1/4 processes · idle")
    assert [set(message) & {"STATUS"} for message in received(listener)] == [{"STATUS"}] * 2


def test_waiting_asks_for_time_until_it_consumes(listener):
    notifier = notifier_for(listener)
    notifier.waiting("Redis")
    [message] = received(listener)
    assert message["WATCHDOG"] == "1"
    assert int(message["EXTEND_TIMEOUT_USEC"]) == EXTENSION_SECONDS * 1e6
    assert message["STATUS"].startswith("waiting for Redis since ")
    notifier.ready()
    notifier.waiting("Redis")
    assert "EXTEND_TIMEOUT_USEC" not in received(listener)[-1]


def test_waiting_does_not_ask_for_time_for_ever(listener, monkeypatch):
    monkeypatch.setattr(systemd, "LONGEST_START_SECONDS", 0)
    notifier = notifier_for(listener)
    notifier.waiting("Redis")
    [message] = received(listener)
    assert "STATUS" in message
    assert "EXTEND_TIMEOUT_USEC" not in message


def test_stopping_is_said_once_with_the_time_it_takes(listener):
    notifier = notifier_for(listener)
    notifier.stopping(65.5)
    notifier.stopping(65.5)
    [message] = received(listener)
    assert (message["STOPPING"], message["EXTEND_TIMEOUT_USEC"]) == ("1", "65500000")


def test_nothing_is_sent_from_a_child(listener):
    notifier = notifier_for(listener)
    pid = os.fork()
    if pid == 0:
        notifier.ready()
        notifier.ping()
        os._exit(0)
    os.waitpid(pid, 0)
    assert received(listener) == []


def test_child_passes_nothing_on(monkeypatch):
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.setenv(name, "1")
    forget_in_child()
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)


def test_without_a_service_manager_all_is_well():
    notifier = Notifier({})
    notifier.ready()
    notifier.ping()
    assert notifier.consumes
    assert notifier.watchdog_seconds is None


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:2:1234", "@"])
def test_unusable_socket_is_no_failure(address):
    Notifier({"NOTIFY_SOCKET": address}).ping()


def test_ready_is_repeated_until_it_could_be_sent(tmp_path):
    path = tmp_path / "notify"
    notifier = Notifier({"NOTIFY_SOCKET": str(path)})
    notifier.ready()
    assert not notifier.consumes
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        notifier.ready()
        assert listener.recv(99).startswith(b"READY=1")
    assert notifier.consumes


def test_full_queue_does_not_block(listener):
    notifier = notifier_for(listener)
    sent = [notifier.send(STATUS="x") for _ in range(5000)]
    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "180000000"}, 180),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_is_that_of_this_process(environment, seconds):
    assert Notifier(environment).watchdog_seconds == seconds
