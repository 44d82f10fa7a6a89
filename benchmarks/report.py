"""Tables and targets from the results; every figure in a document comes from here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.figures import number, ratio, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
README = ROOT / "README.md"
BEGIN = "<!-- benchmarks: from here on written by `make bench-table` -->"
END = "<!-- benchmarks: until here -->"

US = "backend-worker"
LOOP, PARALLEL_LOOP = "loop: mutagen, 1 process", "loop: mutagen, a process a core"
Results = dict[str, Any]

NINE_ROWS = (
    ("memory, idle", "idle_worker_pss"),
    ("memory, idle after the scan", "after_worker_pss"),
    ("memory, most", "peak_worker_pss"),
    ("processes, idle", "idle_worker_processes"),
    ("scan", "scan_seconds"),
    ("until vectors and covers are made", "all_done_seconds"),
    ("CPU of workers, Redis and PostgreSQL for it", "all_cpu_seconds"),
    ("CPU, idle, of one core", "idle_worker_percent"),
    ("wake-ups a second, idle", "idle_worker_wakeups"),
    ("Redis commands a second, idle", "idle_redis_operations"),
    ("Redis commands for the scan", "scan_redis_operations"),
)


def load(folder: Path) -> Results | None:
    """Return the results in a folder, None if there are none."""
    path = folder / "results.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(results: Results, folder: Path) -> None:
    """Write results as JSON and Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=1, ensure_ascii=False)
    (folder / "results.json").write_text(text + "\n", encoding="utf-8")
    (folder / "results.md").write_text(markdown(results, folder), encoding="utf-8")


def recorded(folder: Path = RESULTS) -> list[Results]:
    """Return the results that the README shows, the full ones first."""
    found = [load(folder / name) for name in ("full", "quick")]
    return [results for results in found if results and not results["machine"]["emulated"]]


def readme_block(recorded: Sequence[Results]) -> str:
    """Return what the README says between the two markers: each section from the first that has it.

    What it was measured on stands above the first section of each measurement.
    """
    tables: dict[str, Callable[[dict[str, Any]], str]] = {
        "nine": nine_table,
        "others": lambda section: others_table(section, short=True),
        "size": size_table,
    }
    parts: list[str] = []
    shown = None
    for name, table in tables.items():
        results = next((each for each in recorded if name in each["sections"]), None)
        if results is None:
            continue
        if results is not shown:
            parts += [setting(results)]
            parts += [left_out(results)] if results["left_out"] else []
            shown = results
        parts.append(table(results["sections"][name]))
    return "\n\n".join(parts or ["Not measured yet: `make bench` measures on this machine."]) + "\n"


def put_into_readme(block: str, readme: Path = README) -> None:
    """Replace what the README has between the markers.

    Raises:
        ValueError: a marker is missing.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for the table: add {BEGIN} and {END}")
    readme.write_text(f"{before}{begin}{block}{end}{after}", encoding="utf-8")


def block_of(readme: Path = README) -> str:
    """Return what the README has between the markers."""
    text = readme.read_text(encoding="utf-8")
    return text.partition(BEGIN + "\n")[2].partition(END)[0]


def markdown(results: Results, folder: Path) -> str:
    """Return everything as one page, with the plots that are in the folder."""
    sections = results["sections"]
    title = "# Benchmarks" + (" (emulated)" if results["machine"]["emulated"] else "")
    parts = [title, setting(results), machine_table(results)]
    if results["left_out"]:
        parts.append(left_out(results))
    rows = [
        (target.text, target.measured, "yes" if target.met else "**no**")
        for target in targets(results)
    ]
    if rows:
        parts += ["## Targets", table(("target", "measured", "met"), rows)]
    chapters = (
        ("nine", "Nine services against one worker", nine_table),
        ("others", "Us against others", others_table),
        ("size", "Small against large", size_table),
        ("stages", "Where the time of a scan goes", stages_table),
    )
    for name, heading, make in chapters:
        if name in sections:
            parts += [f"## {heading}", make(sections[name]), *_pictures(name, folder)]
    return "\n\n".join(parts) + "\n"


def _pictures(name: str, folder: Path) -> Iterator[str]:
    for picture in (name, "flame") if name == "stages" else (name,):
        if (folder / f"{picture}.svg").exists():
            yield f"![{picture}]({picture}.svg)"


def setting(results: Results) -> str:
    """Return the sentence that says what the figures were measured on."""
    machine, versions = results["machine"], results["versions"]
    warning = (
        "**The processor was emulated: the times say nothing of a real one.** "
        if machine["emulated"]
        else ""
    )
    return (
        f"{warning}Measured at commit `{results['commit']}` on {results['measured_at'][:10]}: "
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{number(machine['memory_bytes'] / 2**30)} GiB, {versions['system']}, "
        f"Python {versions['python']}, Celery {versions['celery']}. Medians; lowest and highest "
        "run in brackets. Memory is PSS, CPU that of whole process trees."
    )


def machine_table(results: Results) -> str:
    """Return machine and versions as a table."""
    rows = [
        (name.replace("_", " "), number(value) if isinstance(value, float | int) else str(value))
        for part in ("machine", "versions")
        for name, value in results[part].items()
        if name != "emulated"
    ]
    return table(("what", "value"), rows)


def left_out(results: Results) -> str:
    """Return what was not measured, and why."""
    rows = (f"{name} ({reason})" for name, reason in sorted(results["left_out"].items()))
    return f"Left out: {'; '.join(rows)}."


def nine_table(section: Results) -> str:
    """Return nine services beside the one worker."""
    nine, one = section["subjects"]["nine"], section["subjects"]["one"]
    rows = []
    for text, name in NINE_ROWS:
        if name in nine and name in one:
            rows.append((text, shown(nine[name]), shown(one[name]), change(one[name], nine[name])))
    head = (f"{section['tracks']:,} tracks", "nine services", "one worker", "change")
    return table(head, rows, right=(1, 2, 3))


def change(value: Results, baseline: Results) -> str:
    """Return by how many per cent a figure is above or below the baseline."""
    times = ratio(value, baseline)
    return "-" if times is None else f"{(times - 1) * 100:+.0f} %"


def others_table(section: Results, *, short: bool = False) -> str:
    """Return the programs beside each other; the yardstick is mutagen in one process."""
    steps = [("first", "cold"), ("first", "warm"), ("unchanged", "warm"), ("changed", "warm")]
    if short:
        steps = steps[1:3]
    head = [f"{section['tracks']:,} tracks"]
    for step, state in steps:
        head += [f"{step}, {state}: time", "CPU"]
    head += ["CPU, times mutagen's", "most memory", "tracks found"]
    yardstick = section["subjects"].get(LOOP, {}).get("warm", {}).get("first_cpu_seconds")
    rows = []
    for name, subject in section["subjects"].items():
        if name == US:
            rows.append(_program_row(f"{name}, with its servers", subject, steps, yardstick))
            done = {state: _all_done(figures) for state, figures in subject.items()}
            rows.append(_program_row("… until vectors and covers are made", done, steps, yardstick))
        else:
            rows.append(_program_row(name, subject, steps, yardstick))
    return table(head, rows, right=range(1, len(head)))


def _program_row(
    name: str, subject: Results, steps: list[tuple[str, str]], yardstick: Results | None
) -> list[str]:
    row = [name]
    for step, state in steps:
        figures = subject.get(state, {})
        row += [shown(figures.get(f"{step}_{kind}_seconds")) for kind in ("wall", "cpu")]
    warm = subject.get("warm", {})
    times = ratio(warm.get("first_cpu_seconds"), yardstick)
    return [
        *row,
        "-" if times is None else number(times),
        shown(warm.get("first_peak_pss")),
        shown(warm.get("tracks")),
    ]


def _all_done(figures: Any) -> Results:
    """Return our figures up to the moment when nothing is left to do."""
    if not isinstance(figures, dict):  # the version
        return {}
    return {
        name.replace("_all_done", ""): figure
        for name, figure in figures.items()
        if "_all_done" in name or name == "tracks"
    }


def size_table(section: Results) -> str:
    """Return libraries of several sizes beside each other."""
    head = (
        "tracks",
        "first scan, a file",
        "CPU, a file",
        "unchanged, a file",
        "worker's most memory",
        "similar tracks",
        "search",
    )
    rows = [
        (
            number(figures["tracks"]["median"]),
            shown(per_file(figures, "first_seconds")),
            shown(per_file(figures, "first_all_cpu_seconds")),
            shown(per_file(figures, "unchanged_seconds")),
            shown(figures["peak_worker_pss"]),
            shown(figures["similar_milliseconds"]),
            shown(figures["search_milliseconds"]),
        )
        for figures in section["sizes"].values()
    ]
    return table(head, rows, right=range(len(head)))


def per_file(figures: Results, name: str) -> Results:
    """Return a time as milliseconds for each track."""
    tracks = figures["tracks"]["median"]
    figure = figures[name]
    scaled = {key: figure[key] / tracks * 1000 for key in ("median", "low", "high")}
    return scaled | {"unit": "ms"}


def stages_table(section: Results) -> str:
    """Return the stages of a scan with their shares."""
    rows = [
        (name, f"{stage['share']:.1%}", shown(stage["cpu_seconds"]))
        for name, stage in sorted(section["stages"].items(), key=lambda item: -item[1]["share"])
    ]
    rows += [
        (f"server: {name}", "", shown(server["cpu_seconds"]))
        for name, server in section["servers"].items()
    ]
    head = (f"{section['tracks']:,} tracks", "of the worker's samples", "CPU")
    return table(head, rows, right=(1, 2))


@dataclass(frozen=True, slots=True)
class Target:
    """What we want, what was measured, and whether that is it."""

    text: str
    measured: str
    met: bool


def targets(results: Results) -> list[Target]:
    """Return the targets that these results can judge."""
    sections = results["sections"]
    found: list[Target] = []
    if "nine" in sections:
        found += _nine_targets(sections["nine"]["subjects"])
    if "others" in sections:
        found += _other_targets(sections["others"])
    if "size" in sections:
        found += _size_targets(sections["size"]["sizes"])
    events = sections.get("stages", {}).get("stages", {}).get("events")
    if events is not None:
        share = events["share"]
        found.append(Target("events at most 2 % of a scan", f"{100 * share:.1f} %", share <= 0.02))
    return found


def _nine_targets(subjects: Results) -> Iterator[Target]:
    wanted = (
        ("idle memory of nine services: 85 % less", "idle_worker_pss", 0.15),
        ("scan no longer than with nine services", "scan_seconds", 1.0),
        ("CPU for a scan below that with nine services", "all_cpu_seconds", 1.0),
    )
    for text, name, most in wanted:
        times = ratio(subjects["one"].get(name), subjects["nine"].get(name))
        if times is not None:
            yield Target(text, f"{(times - 1) * 100:+.0f} %", times <= most)


def _other_targets(section: Results) -> Iterator[Target]:
    subjects = section["subjects"]
    ours = subjects.get(US, {}).get("warm", {})
    wall = ours.get("first_wall_seconds")
    wanted = (
        ("first scan at least 10 times as fast as beets", "beets", 10.0),
        (
            f"at least 0.7 of {section['processes']} bare mutagen processes' pace",
            PARALLEL_LOOP,
            0.7,
        ),
        ("first scan in less time than MPD", "MPD", 1.0),
    )
    for text, name, least in wanted:
        times = ratio(subjects.get(name, {}).get("warm", {}).get("first_wall_seconds"), wall)
        if times is not None:
            yield Target(text, f"{number(times)} times", times >= least)
    scale = 10_000 / section["tracks"]
    limits = (
        ("whole system, first scan of 10,000 files: 8 CPU seconds", "first", 8.0),
        ("whole system, unchanged rescan of 10,000 files: 0.5 CPU seconds", "unchanged", 0.5),
    )
    for text, step, most in limits:
        figure = ours.get(f"{step}_cpu_seconds")
        if figure is not None:
            seconds = figure["median"] * scale
            note = "" if scale == 1 else f" (reckoned from {section['tracks']:,})"
            yield Target(text, f"{number(seconds)} s{note}", seconds <= most)


def _size_targets(sizes: Results) -> Iterator[Target]:
    small, *_, large = sizes.values() if len(sizes) > 1 else (None, None)
    if large is None:
        return
    tracks = number(large["tracks"]["median"])
    first = number(small["tracks"]["median"])
    times = per_file(large, "first_seconds")["median"] / per_file(small, "first_seconds")["median"]
    yield Target(
        f"time for each file within 15 % from {first} to {tracks} tracks",
        f"{(times - 1) * 100:+.0f} %",
        times <= 1.15,
    )
    memory = large["peak_worker_pss"]["median"] / small["peak_worker_pss"]["median"]
    yield Target(
        f"worker's memory within 15 % from {first} to {tracks} tracks",
        f"{(memory - 1) * 100:+.0f} %",
        memory <= 1.15,
    )
    for text, name, most in (
        ("similar tracks", "similar_milliseconds", 20.0),
        ("search", "search_milliseconds", 50.0),
    ):
        figure = large[name]
        yield Target(
            f"{text} of {tracks} tracks: {most:g} ms", shown(figure), figure["median"] <= most
        )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """Return a Markdown table; columns in ``right`` are set to the right."""
    right = set(right)
    rule = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
