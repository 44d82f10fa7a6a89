"""Messages that wait in a queue, as the broker holds them."""

import base64
import json
from dataclasses import dataclass

import kombu.compression

from backend_worker.progress.connection import redis_client


@dataclass(frozen=True)
class Message:
    """One waiting message; ``eta`` is the time before which it is not to be run."""

    task: str
    args: list
    eta: str | None


def waiting(queue):
    """Return the messages of a queue, oldest first."""
    return [_message(json.loads(text)) for text in reversed(redis_client().lrange(queue, 0, -1))]


def _message(envelope):
    headers = envelope["headers"]
    body = base64.b64decode(envelope["body"])
    if headers.get("compression"):
        body = kombu.compression.decompress(body, headers["compression"])
    args, _, _ = json.loads(body)
    return Message(headers["task"], args, headers["eta"])
