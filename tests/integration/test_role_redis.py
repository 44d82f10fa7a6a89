"""What the role's check finds of other programs in a real Redis."""

import json
import pathlib
import re
import subprocess
import sys

import pytest
import redis

from backend_worker.embedded import EmbeddedRedis

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "roles" / "redis" / "files" / "look_at_server.py"


@pytest.fixture
def broker(tmp_path_factory):
    """A Redis of the test's own: it gets passwords, and other programs' keys."""
    folder = tmp_path_factory.mktemp("redis")
    server = EmbeddedRedis(folder, folder).start()
    yield server
    server.stop()


def look_at_redis(server, *options):
    command = [sys.executable, SCRIPT, "--address", f"unix:{server.socket}", *options]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_redis_of_ours_alone(broker):
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        client.lpush("extract", "a task")
        client.lpush("extract\x06\x169", "another")
        client.hset("unacked", "tag", "a task")
        client.sadd("_kombu.binding.extract", "extract\x06\x16\x06\x16extract")
        client.sadd("_kombu.binding.backend_worker.pidbox", "\x06\x16\x06\x16one")
        client.sadd("_kombu.binding.backend_worker.events", "worker.#\x06\x16\x06\x16two")
        client.hset("backend_worker:unacked", "tag", "a task")
        client.sadd("backend_worker:scans:running", 1)
    assert look_at_redis(broker) == []


def test_redis_with_keys_of_another_program(broker):
    with redis.Redis(unix_socket_path=str(broker.socket), db=2) as client:
        client.mset({f"nextcloud:{number}": number for number in range(5)})
        client.set(b"\xff\x00", "no text")
    [finding] = look_at_redis(broker)
    assert re.match(r"keys in database 2 \(6 in all, such as .*nextcloud:\d", finding)


def test_redis_with_another_celery_application(broker):
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        client.lpush("celery", "a task of somebody")
    assert look_at_redis(broker) == ["keys in database 0 (1 in all, such as celery)"]


def test_redis_with_accounts_and_clients(broker):
    with redis.Redis(unix_socket_path=str(broker.socket), client_name="home-assistant") as client:
        client.acl_setuser("somebody", enabled=True, nopass=True)
        found = look_at_redis(broker)
        assert found == ["accounts (somebody)", "1 clients (home-assistant)"]
        assert look_at_redis(broker, "--ignore-clients") == ["accounts (somebody)"]


def test_redis_with_a_password(broker):
    with redis.Redis(unix_socket_path=str(broker.socket)) as client:
        client.config_set("requirepass", "secret")
    assert look_at_redis(broker) == ["a password"]
