"""The Celery application: settings and nothing else.

``celery -A backend_worker.celery_app worker`` and every client import this module, so it
imports no task, no database driver and nothing heavy; the worker loads the tasks and its own
hooks through ``include``.
"""

from __future__ import annotations

import zlib

import kombu.compression
from celery import Celery
from kombu.entity import Exchange, Queue

from backend_worker.config import Config, get_config
from backend_worker.queues import (
    CONTROL_EXCHANGE,
    EVENT_EXCHANGE,
    QUEUE_NAMES,
    UNACKED_INDEX_KEY,
    UNACKED_KEY,
    UNACKED_MUTEX_KEY,
    task_routes,
)

TASK_MODULES = tuple(
    f"backend_worker.tasks.{name}"
    for name in (
        "scan",
        "extract",
        "batch",
        "insert",
        "vector",
        "deferred",
        "covers",
        "maintenance",
        "canary",
    )
)

# what registers itself with Celery's worker
WORKER_MODULES = ("backend_worker.worker.hooks", "backend_worker.worker.revoked")


def celery_settings(config: Config) -> dict[str, object]:
    """Return Celery's configuration for our settings; each reason stands beside its line."""
    transport = {
        # Above the task limit, or a long task would be delivered again while it runs.
        "visibility_timeout": config.visibility_timeout,
        "unacked_key": UNACKED_KEY,
        "unacked_index_key": UNACKED_INDEX_KEY,
        "unacked_mutex_key": UNACKED_MUTEX_KEY,
        # the order of the queue table, and each in its turn
        "queue_order_strategy": "backend_worker.worker.fairness:TurnCycle",
        "socket_timeout": config.redis_socket_timeout,
        "socket_connect_timeout": config.redis_socket_timeout,
        "socket_keepalive": not config.redis_url.startswith("redis+socket"),
        "health_check_interval": config.redis_health_check_interval,
        # No "retry_on_timeout": with it redis-py replaces a broken subscription by itself and
        # then reads from the new one without end; the worker hangs while Redis is fine.
    }
    return {
        "broker_url": config.redis_url,
        "broker_transport_options": transport,
        "control_exchange": CONTROL_EXCHANGE,
        "event_exchange": EVENT_EXCHANGE,
        "broker_pool_limit": config.redis_pool_limit,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a Redis away for an hour is not a reason to die
        # Also when Redis answers and refuses, because its disk or its memory is full.
        "broker_channel_error_retry": True,
        "broker_connection_timeout": config.redis_socket_timeout,
        # Results are not used by the pipeline; canaries and the command line ask for theirs.
        "result_backend": config.redis_url,
        "result_backend_transport_options": {"visibility_timeout": config.visibility_timeout},
        "visibility_timeout": config.visibility_timeout,
        "redis_max_connections": config.redis_pool_limit * 2,
        "redis_socket_timeout": config.redis_socket_timeout,
        "redis_backend_health_check_interval": config.redis_health_check_interval,
        "result_expires": 3600,
        "task_ignore_result": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUE_NAMES],
        "task_default_queue": "maintenance",
        "task_create_missing_queues": False,  # a misspelt queue is an error, not a silent list
        "task_routes": task_routes(),
        # Acknowledge when done, and give a task back when its process dies. Deliveries are
        # counted (backend_worker.tasks.delivery), so a file that kills its reader is found.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure_or_timeout": True,
        "task_time_limit": config.task_time_limit,
        "task_soft_time_limit": config.task_soft_time_limit,
        "worker_consumer": "backend_worker.worker.consumer:LibraryConsumer",
        "worker_autoscaler": "backend_worker.worker.autoscaler:LibraryAutoscaler",
        "worker_prefetch_multiplier": 1,
        # Otherwise the autoscaler stays at one process after any reconnect while idle.
        "worker_enable_prefetch_count_reduction": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_max_memory_per_child": config.max_memory_per_child_kib,  # KiB
        "worker_max_tasks_per_child": config.max_tasks_per_child,
        "worker_proc_alive_timeout": config.proc_alive_timeout,
        "worker_soft_shutdown_timeout": config.soft_shutdown_timeout,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_hijack_root_logger": False,
        "worker_log_color": False,
        "worker_send_task_events": True,
        "task_send_sent_event": False,
        "timezone": "UTC",
        "enable_utc": True,
    }


def _compress(body: bytes) -> bytes:
    # kombu's own gzip works at level 6: for six times the CPU the message is a fifth smaller
    return zlib.compress(body, level=1 if len(body) > get_config().compress_above_bytes else 0)


kombu.compression.register(_compress, zlib.decompress, "application/x-gzip", ["gzip"])

app = Celery("backend_worker", include=[*TASK_MODULES, *WORKER_MODULES])
app.conf.update(celery_settings(get_config()))
