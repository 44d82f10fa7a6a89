"""Where the time of a scan goes: samples of the worker's stacks, sorted into stages."""

from __future__ import annotations

import re
import signal
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

from benchmarks.figures import figure
from benchmarks.flame import flame_graph
from benchmarks.installing import MissingProgramError, install_from_pypi
from benchmarks.lab import Lab, isolated
from benchmarks.libraries import made_up, warm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

SAMPLES_PER_SECOND = 250
STOP_SECONDS = 60

# A stack belongs to the stage of its innermost frame whose file is named here: reading a tag
# within a task is "tags", and what Celery does around it is "Celery". In this order.
STAGES = (
    ("imports", r"<frozen importlib|/importlib/_bootstrap"),
    ("walk", r"backend_worker/library/(walk|discovery)\.py"),
    ("tags", r"site-packages/mutagen/|backend_worker/library/(tags/|model\.py)"),
    ("covers", r"site-packages/PIL/|backend_worker/library/artwork/"),
    ("grouping", r"backend_worker/library/(grouping|names)\.py"),
    (
        "vectors",
        r"site-packages/(sklearn|scipy|numpy)/|backend_worker/library/(vectors|features)\.py",
    ),
    ("database", r"site-packages/psycopg2/|backend_worker/storage/"),
    ("Redis", r"site-packages/redis/"),
    ("Celery", r"site-packages/(celery|kombu|billiard|amqp|vine)/"),
    ("tasks", r"backend_worker/(tasks|worker|progress)/"),
)
_STAGES = [(name, re.compile(pattern)) for name, pattern in STAGES]
# All below the events and the figures of a scan is theirs, whatever library they call.
EVENTS = "events"
_EVENTS = re.compile(r"backend_worker/progress/(events|figures)\.py")
OTHER = "other"
# Innermost frames that wait for work or for an answer, which py-spy does not always see.
_WAITS = re.compile(
    r"^(Connection\._recv .*billiard/connection\.py|\S*poll .*kombu/utils/eventio\.py"
    r"|SocketBuffer\._read_from_socket .*redis/)"
)
# Where a child's own work begins, whatever forked it.
_CHILD_BEGINS = re.compile(r"^(Worker\.)?workloop .*billiard/pool\.py")


def run(cache: Path, *, tracks: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Profile one first scan.

    Returns:
        For each stage its share of the worker's samples and the seconds of processor time that
        this stands for, beside those of Redis and PostgreSQL; and ``flame``, an SVG.

    Raises:
        MissingProgramError: py-spy cannot be had, or may not look into processes here.
    """
    say("where the time goes: one scan under py-spy")
    python = install_from_pypi(cache, "py-spy")
    library = made_up(cache, tracks)
    cpu, lines = isolated(measure, library, cache, python.parent / "py-spy")
    parsed = map(parse, lines)
    stacks = [(frames, count) for frames, count in parsed if frames and not waits(frames)]
    samples = sum(count for _, count in stacks)
    if not samples:
        raise MissingProgramError("py-spy took no sample: it may not look into processes here")
    by_stage = Counter()
    for frames, count in stacks:
        by_stage[stage_of(frames)] += count
    names = [name for name, _ in STAGES] + [EVENTS, OTHER]
    return {
        "tracks": tracks,
        "samples": samples,
        "samples_per_second": SAMPLES_PER_SECOND,
        "stages": {
            name: {
                "share": by_stage[name] / samples,
                "cpu_seconds": figure("s", [cpu["worker"] * by_stage[name] / samples]),
            }
            for name in names
        },
        "servers": {
            name: {"cpu_seconds": figure("s", [cpu[name]])} for name in ("redis", "postgresql")
        },
        "flame": flame_graph(
            [(drawn(frames), count) for frames, count in stacks],
            f"One scan of {tracks:,} tracks: the worker's processes, {samples:,} samples",
        ),
    }


def measure(library: Path, cache: Path, py_spy: Path) -> tuple[dict[str, float], list[str]]:
    """Scan under py-spy; return the processor time by group, and its lines."""
    with Lab(cache / "lab") as lab:
        warm(library)
        lab.start_one()
        output = lab.folder / "stacks.txt"
        spy = subprocess.Popen(
            [
                str(py_spy),
                "record",
                "--subprocesses",
                "--full-filenames",
                "--function",
                *("--rate", str(SAMPLES_PER_SECOND)),
                *("--format", "raw"),
                *("--output", str(output)),
                *("--pid", str(lab.workers[0])),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with lab.meter() as meter:
            lab.scan(library)
            cpu = meter.cpu()
        spy.send_signal(signal.SIGINT)  # it writes what it has
        words, _ = spy.communicate(timeout=STOP_SECONDS)
        if not output.exists():
            last = (words.strip().splitlines() or ["no reason given"])[-1]
            raise MissingProgramError(f"py-spy: {last}")
        return cpu, output.read_text(encoding="utf-8").splitlines()


def parse(line: str) -> tuple[list[str], int]:
    """Return the frames of one of py-spy's lines, outermost first, and its samples."""
    stack, _, count = line.rpartition(" ")
    frames = [frame for frame in stack.split(";") if not frame.startswith("process ")]
    return frames, int(count)


def waits(frames: list[str]) -> bool:
    """Say whether a stack waits for work or for an answer."""
    return bool(_WAITS.search(frames[-1]))


def stage_of(frames: Iterable[str]) -> str:
    """Return the stage that a stack belongs to; imports and events are one with all they call."""
    frames = list(frames)
    first, pattern = _STAGES[0]
    if any(pattern.search(frame) for frame in frames):
        return first
    if any(_EVENTS.search(frame) for frame in frames):
        return EVENTS
    for frame in reversed(frames):
        for name, pattern in _STAGES[1:]:
            if pattern.search(frame):
                return name
    return OTHER


def drawn(frames: list[str]) -> list[str]:
    """Return a stack as the flame graph has it: without what is the same for all, or noise."""
    for number, frame in enumerate(frames):
        if _CHILD_BEGINS.search(frame):
            frames = frames[number:]
            break
    imports = _STAGES[0][1]
    return [short(frame) for frame in frames if not imports.search(frame)]


def short(frame: str) -> str:
    """Return a frame with its file as a module's path within its package."""
    return re.sub(
        r"\((?:.*/)?(?:site-packages|python3\.\d+|(?=backend_worker/))/?([^()]*?)(?::\d+)?\)$",
        r"(\1)",
        frame,
    )
