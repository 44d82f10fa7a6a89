"""Music knowledge: no Celery, no Redis and no SQL in here."""
