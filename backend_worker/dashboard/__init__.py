"""The dashboard: a small web server of its own process, with the page, an API and events.

It reads PostgreSQL through ``storage/`` and Redis through ``progress/``; what changes something
it leaves to the command line, in a child process that ends with its answer.
"""
