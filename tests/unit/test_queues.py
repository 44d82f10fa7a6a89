"""The queue table, and that everything else follows it."""

from pathlib import Path

from backend_worker.celery_app import app, celery_settings
from backend_worker.config import Config
from backend_worker.queues import QUEUE_NAMES, QUEUES, TASK_QUEUE, task_routes
from backend_worker.worker.command import worker_arguments

EIGHT = {"scan", "extract", "batch", "insert", "vector", "deferred", "covers", "maintenance"}
# What clients of the earlier system send
CLIENT_TASKS = {
    "scan.discovery": "scan",
    "metadata.extract_batch": "extract",
    "batch.process_entities": "batch",
    "insert.direct_batch": "insert",
    "vectorization.calculate": "vector",
    "covers.process_album_covers": "covers",
    "covers.process_artist_images": "covers",
    "covers.extract_embedded": "covers",
    "metadata.enrich_batch": "deferred",
}


def test_there_are_the_eight_queues():
    assert set(QUEUE_NAMES) == EIGHT
    assert len(QUEUE_NAMES) == len(EIGHT)


def test_later_stages_come_before_earlier_ones_and_high_before_low():
    urgency = [queue.urgency for queue in QUEUES]
    assert urgency == sorted(urgency, key=["high", "medium", "low"].index)
    assert QUEUE_NAMES[:4] == ("insert", "batch", "extract", "scan")


def test_tasks_of_the_earlier_system_go_to_their_queues():
    assert TASK_QUEUE.items() >= CLIENT_TASKS.items()


def test_every_task_of_the_table_exists_and_no_other():
    app.loader.import_default_modules()
    # not Celery's own, and not those that tests add
    ours = {
        name for name, task in app.tasks.items() if task.__module__.startswith("backend_worker")
    }
    assert ours == set(TASK_QUEUE)


def test_every_task_is_routed_to_its_queue():
    for task, queue in TASK_QUEUE.items():
        route = app.amqp.router.route({}, task)
        assert route["queue"].name == queue
        assert (route["queue"].exchange.name, route["queue"].routing_key) == (queue, queue)
    assert set(task_routes()) >= set(TASK_QUEUE)


def test_the_worker_is_started_with_all_queues_in_that_order():
    arguments = worker_arguments(Config())
    assert "--autoscale=4,1" in arguments
    assert f"--queues={','.join(QUEUE_NAMES)}" in arguments
    assert {"--heartbeat-interval=300", "--without-gossip", "--without-mingle"} <= set(arguments)


def test_time_outs_and_memory_have_celerys_units():
    settings = celery_settings(Config())
    assert settings["worker_max_memory_per_child"] == 512_000  # KiB
    assert settings["visibility_timeout"] == 9000
    assert settings["broker_transport_options"]["visibility_timeout"] == 9000
    assert settings["result_backend_transport_options"]["visibility_timeout"] == 9000
    assert settings["broker_connection_max_retries"] is None
    assert settings["worker_enable_prefetch_count_reduction"] is False


def test_celery_knows_every_setting_that_we_give_it():
    from celery.app.defaults import NAMESPACES, flatten

    known = {name for name, _ in flatten(NAMESPACES)}
    # documented and read by the Redis backend, but not in Celery's own list of defaults
    beside = {"redis_backend_health_check_interval", "visibility_timeout"}
    assert set(celery_settings(Config())) - known == beside


def test_the_readme_shows_this_table():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    rows = [
        f"| `{queue.name}` | {queue.bound_by} | {queue.urgency} | {queue.purpose} |"
        for queue in QUEUES
    ]
    assert "\n".join(rows) in readme
