"""One autoscaling Celery worker that keeps a music library in PostgreSQL."""
