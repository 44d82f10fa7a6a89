"""What runs in the Celery parent: how it is started, preloading, recovery, log format."""
