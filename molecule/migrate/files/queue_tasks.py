"""Queue tasks as Celery writes them, and one that a worker had taken when it died.

Usage: ``queue_tasks.py PORT FILE... TAKEN``, names of files in ``/srv/music``.
"""

import base64
import json
import socket
import sys
import uuid

_, port, *waiting, taken = sys.argv


def message(task: str, args: list, queue: str) -> str:
    """Return a message of Celery's protocol 2 as kombu stores it in Redis."""
    task_id = str(uuid.uuid4())
    body = json.dumps(
        [args, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    )
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": task_id, "root_id": task_id},
            "properties": {
                "correlation_id": task_id,
                "delivery_mode": 2,
                "delivery_info": {"exchange": queue, "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )


def send(*words: str) -> None:
    """Send one command to Redis."""
    parts = [word.encode() for word in words]
    data = b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        connection.sendall(data)
        answer = connection.recv(1000)
    if answer.startswith(b"-"):
        raise SystemExit(answer.decode())


def extract(name: str) -> str:
    """Return a message that asks for one file's tags."""
    return message("metadata.extract_batch", [[f"/srv/music/{name}"], f"old-{name}"], "extract")


# Which queue an exchange leads to: kombu notes it with the first message, and looks there when
# it puts a taken message back.
send("SADD", "_kombu.binding.extract", "extract\x06\x16\x06\x16extract")
for file_name in waiting:
    send("LPUSH", "extract", extract(file_name))
envelope = json.loads(extract(taken))
tag = envelope["properties"]["delivery_tag"]
send("HSET", "unacked", tag, json.dumps([envelope, "extract", "extract"]))
send("ZADD", "unacked_index", "1", tag)
