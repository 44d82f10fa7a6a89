"""PostgreSQL: whether it lets us in, and what ails the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backend_worker.cli.doctor.finding import Check, Finding
from backend_worker.config import redact

if TYPE_CHECKING:
    from collections.abc import Iterator

    from backend_worker.config import Config

_HANGS = (
    "it took the connection and is silent",
    "journalctl -u postgresql@17-main; is its disk alive (dmesg)?",
)
# Words of PostgreSQL's refusal, and what helps then.
_REFUSALS = {
    "authentication failed": "correct user and password in BACKEND_WORKER_DATABASE_URL",
    "does not exist": "run site.yml, which makes role and database; or correct "
    "BACKEND_WORKER_DATABASE_URL",
    "permission denied for database": "let the role in: GRANT CONNECT ON DATABASE … TO …",
    "too many clients": "another program holds its connections: "
    "sudo -u postgres psql -c 'SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1'",
    "remaining connection slots": "another program holds its connections: "
    "sudo -u postgres psql -c 'SELECT usename, count(*) FROM pg_stat_activity GROUP BY 1'",
    "starting up": "it recovers after an unclean stop: wait",
    "timeout expired": _HANGS[1],
}


def check(config: Config) -> Check:
    """Return the look at PostgreSQL."""
    return Check("PostgreSQL", lambda: _look(config), _HANGS)


def _look(config: Config) -> Iterator[Finding]:
    from backend_worker.storage import health  # noqa: PLC0415 - a missing package is a finding
    from backend_worker.storage.connection import DatabaseAwayError  # noqa: PLC0415 - as above

    try:
        version, ailments = health.examine()
    except DatabaseAwayError as error:
        yield Finding("problem", "PostgreSQL", str(error), _advice(str(error)))
        return
    where = redact(config.database_url)
    yield Finding("ok", "PostgreSQL", f"{where}, version {version // 10000}.{version % 10000}")
    for ailment in ailments:
        state = "problem" if ailment.fatal else "warning"
        yield Finding(state, ailment.subject, ailment.detail, ailment.remedy)
    if not any(ailment.fatal for ailment in ailments):
        yield Finding("ok", "tables", "up to date")


def _advice(refusal: str) -> str:
    for words, advice in _REFUSALS.items():
        if words in refusal:
            return advice
    return (
        "start it (systemctl start postgresql) or correct BACKEND_WORKER_DATABASE_URL; if it does "
        'not start: journalctl -u postgresql@17-main, and docs/operations.md, "PostgreSQL does '
        'not start"'
    )
