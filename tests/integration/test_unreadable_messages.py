"""Messages that nobody can make sense of: the worker says so in one line and goes on."""

import base64
import json
import os

import pytest

from backend_worker.celery_app import app
from backend_worker.progress.connection import redis_client
from tests.support.waiting import WAIT_SECONDS

QUEUE = "extract"


def envelope(body=b'[[], {}, {"callbacks": null}]', *, headers=None, properties=None, **changes):
    """Return a message as kombu writes it, with some parts exchanged; None removes one."""
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "maintenance.canary", "id": "an-id"} | (headers or {}),
        "properties": {
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": os.urandom(8).hex(),
        }
        | (properties or {}),
    } | changes
    for part in (message, message["headers"], message["properties"]):
        if isinstance(part, dict):
            for name in [name for name, value in part.items() if value is None]:
                del part[name]
    return json.dumps(message)


MESSAGES = {
    "random bytes": b"\x00\xff\xfegarbage",
    "nothing": b"",
    "half an envelope": envelope()[:120],
    "a list": "[]",
    "a number": "17",
    "null": "null",
    "an empty object": "{}",
    "no properties": envelope(properties=dict.fromkeys(("delivery_tag", "delivery_info"))),
    "delivery information is a list": envelope(properties={"delivery_info": []}),
    "no body": envelope(body=b""),
    "body is half of JSON": envelope(b'[["a"], {"b'),
    "body is not UTF-8": envelope(b"\xff\xfe"),
    "body is no triple": envelope(b"[1]"),
    "body is a number": envelope(b"17"),
    "body is null": envelope(b"null"),
    "arguments are no list": envelope(b"[17, {}, {}]"),
    "pickle": envelope(b"\x80\x04K\x01.", **{"content-type": "application/x-python-serialize"}),
    "unknown content type": envelope(**{"content-type": "application/x-nobody-knows"}),
    "unknown compression": envelope(headers={"compression": "application/x-nobody-knows"}),
    "damaged compression": envelope(headers={"compression": "application/x-gzip"}),
    "no headers": envelope(headers={"task": None, "id": None}),
    "headers are a list": envelope().replace('"headers": {', '"headers": [{"a": 1}], "x": {'),
    "no task": envelope(headers={"task": None}),
    "no id": envelope(headers={"id": None}),
    "task is a list": envelope(headers={"task": ["a"]}),
    "unknown task": envelope(headers={"task": "maintenance.nobody_knows"}),
    "time is no time": envelope(headers={"eta": "yesterday, or so"}),
    "time limit is no pair": envelope(headers={"timelimit": 17}),
}


# Sent to a task as they are.
WRONG_ARGUMENTS = {
    "too few": ("metadata.extract_batch", [], {}),
    "too many": ("maintenance.fill_gaps", [1, 2, 3], {}),
    "unknown name": ("vectorization.calculate", [[1]], {"nobody_knows": 1}),
    "ids are words": ("vectorization.calculate", [["one"]], {}),
    "paths are numbers": ("metadata.extract_batch", [[1, 2], "a batch"], {}),
    "batch is a text": ("batch.process_entities", ["text", "a batch"], {}),
    "batch is null": ("insert.direct_batch", [None], {}),
    "track without path": ("batch.process_entities", [[{"title": "x"}], "a batch"], {}),
    "scan is a word": ("scan.finish", ["one"], {}),
    "folder is a number": ("scan.discovery", [17], {}),
}


@pytest.fixture
def log(servers):
    """Return a function that returns what the worker complained of since the test began."""
    path = servers.folder / "worker.log"
    start = path.stat().st_size

    def complaints():
        with path.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()
        return [line for line in lines if " INFO " not in line]

    return complaints


def answers():
    """Send a task through the queue and wait until it comes back."""
    app.send_task("maintenance.canary", queue=QUEUE, ignore_result=False).get(timeout=WAIT_SECONDS)


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_unreadable_message_is_dropped(library, worker, log, message):
    redis_client().lpush(QUEUE, message)
    answers()
    library.settle()
    assert worker.poll() is None
    [line] = log()
    assert "ERROR" in line
    assert "is dropped: " in line


@pytest.mark.parametrize("task", WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS.keys())
def test_task_with_wrong_arguments_fails_in_one_line(library, worker, log, task):
    name, args, kwargs = task
    result = app.send_task(name, args, kwargs, ignore_result=False)
    with pytest.raises(Exception, match=r".") as caught:
        result.get(timeout=WAIT_SECONDS)
    assert not isinstance(caught.value, TimeoutError)
    library.settle()
    assert worker.poll() is None
    [line] = log()
    assert "ERROR" in line
    assert f"{name} was called with wrong arguments" in line
