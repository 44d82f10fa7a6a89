"""Settings: units, limits, sentences for bad values, and no password in sight."""

import ast
import dataclasses
import importlib.metadata
import inspect

import pytest

import backend_worker.config
from backend_worker.config import (
    Config,
    ConfigError,
    effective_settings,
    from_environment,
    redact,
)


def test_figures_of_the_original_set_up_with_their_right_units():
    config = Config()
    assert config.max_memory_per_child_kib == 512_000  # Celery counts KiB: 500 MiB
    assert config.max_tasks_per_child == 500
    assert config.task_time_limit == 7200
    assert config.heartbeat_interval == 300
    assert (config.autoscale_max, config.autoscale_min) == (4, 1)
    assert config.visibility_timeout > config.task_time_limit


def test_every_setting_is_documented_and_has_a_variable():
    rows = effective_settings({})
    assert [row.name for row in rows] == [field.name for field in dataclasses.fields(Config)]
    assert all(row.doc and row.variable.startswith("BACKEND_WORKER_") for row in rows)
    assert {row.source for row in rows} == {"default"}


def test_environment_wins_and_is_named_as_the_source():
    rows = effective_settings({"BACKEND_WORKER_BATCH_SIZE": "100", "HOME": "/root"})
    [row] = [row for row in rows if row.source == "environment"]
    assert (row.name, row.value) == ("batch_size", 100)


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("BATCH_SIZE", "many", r"BATCH_SIZE='many': expected a whole number"),
        ("BATCH_SIZE", "0", r"BATCH_SIZE=0: expected a value from 1 to 1000"),
        ("SETTLE_SECONDS", "nan", r"SETTLE_SECONDS=nan: expected a value from 0"),
        ("COVER_ART_ARCHIVE", "perhaps", r"COVER_ART_ARCHIVE='perhaps': expected yes or no"),
        ("AUTOSCALE_MIN", "9", r"AUTOSCALE_MIN \(9\) is above BACKEND_WORKER_AUTOSCALE_MAX \(4\)"),
        ("VISIBILITY_TIMEOUT", "60", r"must be above BACKEND_WORKER_TASK_TIME_LIMIT \(7200\)"),
        ("TASK_SOFT_TIME_LIMIT", "8000", r"must be below BACKEND_WORKER_TASK_TIME_LIMIT"),
        ("LOG_LEVEL", "loud", r"LOG_LEVEL='loud': use DEBUG, INFO, WARNING or ERROR"),
        ("REDIS_URL", "amqp://x", r"it starts with redis://, rediss:// or redis\+socket://"),
        ("BATCHSIZE", "1", r"BATCHSIZE is not a setting; did you mean BACKEND_WORKER_BATCH_SIZE\?"),
    ],
)
def test_bad_value_gets_a_sentence_that_says_what_to_do(variable, value, sentence):
    with pytest.raises(ConfigError, match=sentence):
        from_environment({f"BACKEND_WORKER_{variable}": value})


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("0", False), ("ON", True), ("", False)]
)
def test_booleans_as_people_write_them(text, value):
    config = from_environment({"BACKEND_WORKER_MUSICBRAINZ_SEARCH": text})
    assert config.musicbrainz_search is value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("redis://:s3cret@pi:6379/0", "redis://:***@pi:6379/0"),
        ("rediss://worker:p%40ss@pi/1", "rediss://worker:***@pi/1"),
        ("host=pi password=s3cret dbname=library", "host=pi password=*** dbname=library"),
        ("host=pi password='two words' user=x", "host=pi password=*** user=x"),
        ("postgresql:///library", "postgresql:///library"),
    ],
)
def test_passwords_are_never_shown(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("broker", "client"),
    [
        ("redis://pi:6379/0", "redis://pi:6379/0"),
        ("redis+socket:///run/redis/redis.sock", "unix:///run/redis/redis.sock"),
        ("redis+socket://:pw@/run/r.sock?virtual_host=2", "unix://:pw@/run/r.sock?db=2"),
    ],
)
def test_one_address_serves_celery_and_the_redis_client(broker, client):
    from redis.connection import parse_url

    config = Config(redis_url=broker)
    assert config.redis_client_url == client
    assert parse_url(config.redis_client_url)


def test_remote_services_learn_who_asks_and_whom_to_write_to():
    version = importlib.metadata.version("backend-worker")
    assert Config().user_agent == f"backend-worker/{version}"
    assert Config(contact="me@pi").user_agent == f"backend-worker/{version} ( me@pi )"


def test_everything_is_checked_when_the_settings_are_read_and_nothing_later():
    """A check within a property would be met by who happens to use it, or by nobody."""
    (settings,) = (
        node
        for node in ast.parse(inspect.getsource(backend_worker.config)).body
        if isinstance(node, ast.ClassDef) and node.name == "Config"
    )
    raising = {
        function.name
        for function in settings.body
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(node, ast.Raise) for node in ast.walk(function))
    }
    assert raising == {"_check_together"}


@pytest.mark.parametrize("address", ["8337", ":8337", "pi:", "pi:65536", "http://pi:80", "::1:80"])
def test_an_address_that_cannot_be_listened_at_is_refused_at_once(address):
    with pytest.raises(ConfigError, match="DASHBOARD_LISTEN"):
        Config(dashboard_listen=address)


def test_an_address_of_the_network_is_accepted():
    assert Config(dashboard_listen="[::]:65535").dashboard_address == ("::", 65535)
