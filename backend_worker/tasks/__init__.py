"""Celery tasks, one thin module per queue: unpack, call the library, send on."""
