"""An application with our Celery settings and nothing else of ours, for other Celery versions."""

import os

from celery import Celery

from backend_worker.celery_app import celery_settings
from backend_worker.config import get_config

PREFETCH_REDUCTION_VARIABLE = "TINY_APP_PREFETCH_REDUCTION"

app = Celery("tiny_app")
app.conf.update(celery_settings(get_config()))
app.conf.worker_autoscaler = "celery.worker.autoscale:Autoscaler"
app.conf.worker_consumer = "celery.worker.consumer:Consumer"
if os.environ.get(PREFETCH_REDUCTION_VARIABLE):
    app.conf.worker_enable_prefetch_count_reduction = True  # as Celery has it by default
