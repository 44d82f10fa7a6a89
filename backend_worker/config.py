"""Settings: a frozen dataclass filled from the environment, validated, documented.

Every setting has one environment variable (``BACKEND_WORKER_<NAME>``), a default and a
sentence; ``backend-worker config`` prints them with where each value comes from.
Importing this module costs nothing but the standard library.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import re
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "BACKEND_WORKER_"
MIB = 1024 * 1024


class ConfigError(ValueError):
    """A setting is not usable; the message names the variable and says what is accepted."""


def _setting(default: Any, doc: str, *, low: float | None = None, high: float | None = None) -> Any:
    metadata = {"doc": doc, "low": low, "high": high}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The effective settings. Units are in the names or in the sentence beside each."""

    # servers
    redis_url: str = _setting(
        "redis://127.0.0.1:6379/0",
        "broker: redis://[user:password@]host:port/db, rediss://… or redis+socket:///path.sock",
    )
    database_url: str = _setting(
        "postgresql:///library", "PostgreSQL, as libpq takes it: a URI or key=value pairs"
    )
    redis_pool_limit: int = _setting(
        4, "connections to Redis that one process keeps open", low=1, high=100
    )
    redis_socket_timeout: float = _setting(
        30.0, "seconds until a silent Redis counts as away", low=1, high=600
    )
    redis_health_check_interval: int = _setting(
        60, "seconds between checks of an idle Redis connection", low=0, high=3600
    )
    database_connect_timeout: int = _setting(
        10, "seconds to wait for PostgreSQL to accept a connection", low=1, high=300
    )

    # the library
    music_dir: str = _setting("", "folder that `backend-worker scan` takes when none is given")
    cover_dir: str = _setting(
        "/var/lib/backend-worker/covers", "folder of the content-addressed cover store"
    )
    settle_seconds: float = _setting(
        5.0, "a file written less than this long ago is left for the next scan", low=0, high=86400
    )
    batch_size: int = _setting(250, "files that one extract task reads", low=1, high=1000)
    store_where_read: bool = _setting(
        True,
        "group and store files in the process that reads them; else what was read goes through"
        " the queues batch and insert",
    )
    vector_batch_size: int = _setting(
        100_000,
        "tracks that wait for their similarity vectors before a scan has them made; the rest when"
        " it ends",
        low=1,
    )
    read_timeout_seconds: float = _setting(
        60.0, "seconds after which reading one file is given up", low=1, high=3600
    )
    hang_seconds: float = _setting(
        30.0,
        "seconds without an answer after which a folder is left alone until it answers",
        low=1,
        high=3600,
    )
    purge_gone_days: int = _setting(
        30, "days that a vanished file is remembered before it is purged", low=0, high=36500
    )
    max_deliveries: int = _setting(
        2,
        "times a batch may be delivered before it is split to find the file that kills its reader",
        low=1,
        high=10,
    )

    # the worker's processes
    autoscale_max: int = _setting(4, "most processes", low=1, high=64)
    autoscale_min: int = _setting(1, "fewest processes", low=1, high=64)
    scale_down_after_seconds: float = _setting(
        30.0, "seconds for which fewer processes must be enough before some go", low=0.1, high=86400
    )
    autoscale_memory_percent: float = _setting(
        85.0,
        "percent of the unit's MemoryHigh= (else of its limit, else of the board's memory) above "
        "which there are fewer processes",
        low=20,
    )
    autoscale_memory_pressure: float = _setting(
        20.0, "percent of time waiting for memory above which there are fewer processes", low=1
    )
    autoscale_cpu_pressure: float = _setting(
        90.0, "percent of time waiting for a processor above which there are fewer", low=1
    )
    autoscale_temperature_c: float = _setting(
        75.0, "degrees Celsius above which there are fewer processes", low=20
    )
    autoscale_hold_seconds: float = _setting(
        30.0,
        "seconds for which nothing must be short before a process is added again; processes are "
        "taken away at least a third of it apart",
        low=0.1,
        high=3600,
    )
    heavy_child_mib: int = _setting(
        60, "MiB of its own above which an idle process is replaced by a fresh one", low=1
    )
    medium_turn_seconds: float = _setting(
        10.0, "seconds after which a medium queue gets a turn before the high ones", low=0.1
    )
    low_turn_seconds: float = _setting(
        30.0, "seconds after which a low queue gets a turn before the others", low=0.1
    )
    system_root: str = _setting(
        "/", "folder that holds proc and sys, where memory, pressure and temperature are read"
    )
    max_memory_per_child_mib: int = _setting(
        500, "MiB of peak RSS after which a process is replaced when its task ends", low=64
    )
    max_tasks_per_child: int = _setting(500, "tasks after which a process is replaced", low=1)
    task_time_limit: int = _setting(
        7200, "seconds after which a task's process is killed", low=10, high=604800
    )
    task_soft_time_limit: int = _setting(
        6900, "seconds after which a task is told to end; below the limit above", low=5
    )
    visibility_timeout: int = _setting(
        9000,
        "seconds until an unacknowledged message is delivered again; above the time limit",
        low=10,
    )
    heartbeat_interval: int = _setting(
        300, "seconds between the worker's heartbeat events", low=1, high=3600
    )
    soft_shutdown_timeout: float = _setting(
        5.0, "seconds that running tasks get at a stop before they go back to their queue", low=0
    )
    proc_alive_timeout: float = _setting(
        60.0, "seconds that a new process may take to start (a Pi is slow)", low=4, high=600
    )
    compress_above_bytes: int = _setting(
        8192, "messages larger than this are sent gzip-compressed", low=0
    )

    # the internet
    cover_art_archive: bool = _setting(True, "ask the Cover Art Archive for missing covers")
    cover_art_archive_url: str = _setting(
        "https://coverartarchive.org", "base address of the Cover Art Archive"
    )
    musicbrainz_search: bool = _setting(False, "ask MusicBrainz for missing release ids")
    musicbrainz_url: str = _setting(
        "https://musicbrainz.org/ws/2", "base address of MusicBrainz' web service"
    )
    contact: str = _setting(
        "", "e-mail or web address put into the User-Agent, as MusicBrainz asks of its clients"
    )
    remote_interval_seconds: float = _setting(
        1.0, "seconds between two requests to the same remote service", low=0.01, high=3600
    )
    offline_pause_seconds: int = _setting(
        900, "seconds without tries after the internet was found to be away", low=1
    )
    missing_cover_days: int = _setting(
        30, "days until a cover that the archive did not have is asked for again", low=1
    )

    # progress
    progress_stream: str = _setting(
        "backend_worker:progress", "Redis stream of progress events; empty: there are none"
    )
    progress_stream_length: int = _setting(
        2000, "events that the stream keeps, roughly", low=100, high=1000000
    )
    # the dashboard
    dashboard_listen: str = _setting(
        "127.0.0.1:8337", "address and port of the dashboard; 0.0.0.0:8337 opens it to the network"
    )
    dashboard_allowed_hosts: str = _setting(
        "",
        "further names that browsers may use, separated by commas, such as that of a proxy;"
        " no ports",
    )
    dashboard_token_file: str = _setting(
        "", "file with the token that changes need; empty: nothing can be changed from there"
    )
    dashboard_idle_seconds: int = _setting(
        300, "seconds without a client after which it ends, if systemd started it", low=1
    )
    dashboard_requests_per_second: int = _setting(
        50, "requests a second that one address may make in the long run", low=1, high=10000
    )
    dashboard_flower_url: str = _setting(
        "", "address of Flower for browsers: the page links to it while Flower runs"
    )

    # logs
    log_level: str = _setting("INFO", "DEBUG, INFO, WARNING or ERROR")

    def __post_init__(self) -> None:
        for setting in dataclasses.fields(self):
            _check_range(setting, getattr(self, setting.name))
        self._check_together()

    def _check_together(self) -> None:
        if self.autoscale_min > self.autoscale_max:
            raise ConfigError(
                f"{PREFIX}AUTOSCALE_MIN ({self.autoscale_min}) is above "
                f"{PREFIX}AUTOSCALE_MAX ({self.autoscale_max})"
            )
        if self.task_soft_time_limit >= self.task_time_limit:
            raise ConfigError(
                f"{PREFIX}TASK_SOFT_TIME_LIMIT ({self.task_soft_time_limit}) must be below "
                f"{PREFIX}TASK_TIME_LIMIT ({self.task_time_limit})"
            )
        if self.visibility_timeout <= self.task_time_limit:
            raise ConfigError(
                f"{PREFIX}VISIBILITY_TIMEOUT ({self.visibility_timeout}) must be above "
                f"{PREFIX}TASK_TIME_LIMIT ({self.task_time_limit}): else Redis hands out a task "
                "that is still running a second time"
            )
        if self.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ConfigError(
                f"{PREFIX}LOG_LEVEL={self.log_level!r}: use DEBUG, INFO, WARNING or ERROR"
            )
        if (
            not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}", self.dashboard_listen)
            or self.dashboard_address[1] > 65535
        ):
            raise ConfigError(
                f"{PREFIX}DASHBOARD_LISTEN={self.dashboard_listen!r}: use ADDRESS:PORT, such as "
                "127.0.0.1:8337 or [::]:8337"
            )
        for name in self.dashboard_allowed_names:
            if not re.fullmatch(r"[a-z0-9_.-]+", name):
                raise ConfigError(
                    f"{PREFIX}DASHBOARD_ALLOWED_HOSTS: {name!r} is no host name: leave out "
                    "http:// and the port"
                )
        if not self.redis_url.startswith(("redis://", "rediss://", "redis+socket://")):
            raise ConfigError(
                f"{PREFIX}REDIS_URL={redact(self.redis_url)!r}: it starts with redis://, "
                "rediss:// or redis+socket://"
            )

    @property
    def dashboard_address(self) -> tuple[str, int]:
        """Host and port of ``dashboard_listen``."""
        host, _, port = self.dashboard_listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def dashboard_allowed_names(self) -> list[str]:
        """The names of ``dashboard_allowed_hosts``, in lower case."""
        names = self.dashboard_allowed_hosts.lower().split(",")
        return [name.strip().rstrip(".") for name in names if name.strip()]

    @property
    def max_memory_per_child_kib(self) -> int:
        """Celery's ``worker_max_memory_per_child``, whose unit is KiB: 500 MiB is 512000."""
        return self.max_memory_per_child_mib * 1024

    @property
    def redis_client_url(self) -> str:
        """The same server as redis-py spells it (``unix://`` for a socket)."""
        if not self.redis_url.startswith("redis+socket://"):
            return self.redis_url
        parts = urllib.parse.urlsplit(self.redis_url)
        query = {
            "db" if key == "virtual_host" else key: value
            for key, value in urllib.parse.parse_qsl(parts.query)
        }
        tail = f"?{urllib.parse.urlencode(query)}" if query else ""
        return f"unix://{parts.netloc}{parts.path}{tail}"

    @property
    def user_agent(self) -> str:
        """How we introduce ourselves to remote services."""
        contact = f" ( {self.contact} )" if self.contact else ""
        return f"backend-worker/{importlib.metadata.version('backend-worker')}{contact}"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One line of ``backend-worker config``; passwords are replaced by ``***``."""

    name: str
    variable: str
    value: Any
    source: str  # "environment" or "default"
    doc: str


def from_environment(environment: Mapping[str, str]) -> Config:
    """Build the settings from environment variables.

    Raises:
        ConfigError: a value is not usable, or a variable with our prefix is unknown
            (a misspelt setting would otherwise be ignored in silence).
    """
    fields = {PREFIX + setting.name.upper(): setting for setting in dataclasses.fields(Config)}
    values: dict[str, Any] = {}
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in fields:
            raise ConfigError(_unknown_variable(variable, fields))
        setting = fields[variable]
        values[setting.name] = _parse(variable, text, type(setting.default))
    return Config(**values)


@functools.lru_cache(maxsize=1)
def get_config() -> Config:
    """Return the settings of this process, read from its environment once."""
    return from_environment(os.environ)


def effective_settings(environment: Mapping[str, str]) -> list[EffectiveSetting]:
    """Return every setting with its value and where that comes from."""
    config = from_environment(environment)
    rows = []
    for setting in dataclasses.fields(Config):
        variable = PREFIX + setting.name.upper()
        value = getattr(config, setting.name)
        rows.append(
            EffectiveSetting(
                name=setting.name,
                variable=variable,
                value=redact(value) if isinstance(value, str) else value,
                source="environment" if variable in environment else "default",
                doc=setting.metadata["doc"],
            )
        )
    return rows


def redact(text: str) -> str:
    """Return the text with passwords of URLs and of libpq strings replaced by ``***``."""
    text = re.sub(r"(://[^/@\s:]*:)[^@\s]*@", r"\1***@", text)
    return re.sub(r"(password=)('[^']*'|[^\s&]+)", r"\1***", text)


def _unknown_variable(variable: str, fields: Mapping[str, Any]) -> str:
    import difflib  # noqa: PLC0415 - needed for this message alone

    close = difflib.get_close_matches(variable, fields, n=1)
    hint = f"; did you mean {close[0]}?" if close else "; `backend-worker config` lists all"
    return f"{variable} is not a setting{hint}"


def _parse(variable: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            return _parse_bool(text)
        return kind(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number", bool: "yes or no"}[kind]
        raise ConfigError(f"{variable}={text!r}: expected {wanted}") from error


def _parse_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in {"1", "yes", "true", "on"}:
        return True
    if lowered in {"0", "no", "false", "off", ""}:
        return False
    raise ValueError(text)


def _check_range(setting: dataclasses.Field[Any], value: Any) -> None:
    low, high = setting.metadata["low"], setting.metadata["high"]
    below = low is not None and value < low
    above = high is not None and value > high
    # a NaN compares false with everything
    if below or above or value != value:  # noqa: PLR0124 - the test for NaN
        limits = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{PREFIX}{setting.name.upper()}={value}: expected a value {limits}")
