"""The command line ``backend-worker``: arguments, exit codes, and errors as sentences."""

from __future__ import annotations

import codecs
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from backend_worker.cli import output
from backend_worker.cli.errors import Exit, UserError
from backend_worker.cli.parser import build_parser
from backend_worker.config import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see :class:`Exit`)."""
    if arguments is None:
        _read_names_as_utf8()
    output.survive_any_terminal()
    args = build_parser().parse_args(arguments)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # `backend-worker search x | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except (ConfigError, UserError) as error:
        return _complain(str(error), getattr(error, "exit", Exit.USAGE))
    except Exception as error:
        return _server_is_away(error, args)


def _read_names_as_utf8() -> None:
    """Start this program again in Python's UTF-8 mode if the locale has another encoding.

    Names of files and folders go as text to the worker, to Redis and to PostgreSQL, and mean there
    what they mean in UTF-8. What is printed keeps the terminal's encoding.
    """
    if codecs.lookup(sys.getfilesystemencoding()).name == "utf-8":
        return
    os.environ["PYTHONIOENCODING"] = sys.stdout.encoding
    words = [sys.executable, "-X", "utf8", "-m", "backend_worker", *sys.argv[1:]]
    os.execv(sys.executable, words)  # noqa: S606 - ourselves, with the same words


def _run(args: argparse.Namespace) -> int:
    if args.embedded and not args.starts_servers:
        from backend_worker.cli.embedded import run_embedded  # noqa: PLC0415 - laptops only

        return int(run_embedded(Path(args.embedded), args, run))
    return int(run(args))


def run(args: argparse.Namespace) -> int:
    """Run a command with the servers that the settings name."""
    if args.needs_redis:
        # Celery's client would try for half a minute before it says that Redis is away
        from backend_worker.progress.connection import check_redis  # noqa: PLC0415 - as said

        check_redis()
    return int(args.run(args))


def _server_is_away(error: Exception, args: argparse.Namespace) -> int:
    """Turn what the servers' clients raise into a sentence; anything else goes on."""
    import kombu.exceptions  # noqa: PLC0415 - only in this case
    import redis.exceptions  # noqa: PLC0415 - as above

    from backend_worker.config import get_config, redact  # noqa: PLC0415 - as above
    from backend_worker.storage.connection import (  # noqa: PLC0415 - as above
        DatabaseAwayError,
        DatabaseUnusableError,
    )

    if isinstance(error, DatabaseAwayError | DatabaseUnusableError):
        return _complain(str(error), Exit.SERVER_AWAY)
    if isinstance(error, (kombu.exceptions.OperationalError, redis.exceptions.RedisError)):
        where = redact(get_config().redis_url)
        sentence = f"Redis is not available at {where}: {error}. Is it running? "
        return _complain(sentence + "`backend-worker doctor` checks.", Exit.SERVER_AWAY)
    import psycopg2  # noqa: PLC0415 - as above

    if args.debug or not isinstance(error, psycopg2.Error):
        raise error
    return _complain(f"PostgreSQL: {error}", Exit.SERVER_AWAY)


def _complain(sentence: str, code: Exit) -> int:
    print(f"backend-worker: {sentence.strip()}", file=sys.stderr)  # noqa: T201 - the command line's voice
    return code
