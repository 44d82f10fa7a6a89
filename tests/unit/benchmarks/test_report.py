"""What documents say of the benchmarks comes from the results, and only from there."""

import copy
import json

import pytest

from benchmarks import figures, report

MACHINE = {"processor": "Test", "cores": 2, "memory_bytes": 4 * 2**30, "emulated": False}
VERSIONS = {"system": "Debian", "python": "3.13.1", "celery": "5.6.3"}


def summarised(**values):
    return figures.summarise(
        [{name: value * factor for name, value in values.items()} for factor in (1, 1.1, 0.9)]
    )


def size(tracks, milliseconds, similar=5.0):
    return {
        "tracks": figures.figure("", [tracks]),
        **summarised(
            first_seconds=tracks * milliseconds / 1000,
            first_all_cpu_seconds=tracks * milliseconds / 500,
            unchanged_seconds=tracks / 10_000,
            peak_worker_pss=200 * figures.MIB,
            similar_milliseconds=similar,
            search_milliseconds=20.0,
        ),
    }


def program(wall, cpu, **more):
    step = summarised(first_wall_seconds=wall, first_cpu_seconds=cpu, **more)
    return {"version": "1", "warm": step | {"tracks": figures.figure("", [1000])}}


@pytest.fixture
def results():
    nine = {"idle_worker_pss": 600 * figures.MIB, "scan_seconds": 10.0, "all_cpu_seconds": 20.0}
    one = {"idle_worker_pss": 60 * figures.MIB, "scan_seconds": 8.0, "all_cpu_seconds": 21.0}
    return {
        "machine": MACHINE,
        "versions": VERSIONS,
        "commit": "abc123",
        "measured_at": "2030-01-02T03:04:05+00:00",
        "left_out": {"MPD": "not installed"},
        "sections": {
            "nine": {
                "tracks": 1000,
                "subjects": {"nine": summarised(**nine), "one": summarised(**one)},
            },
            "others": {
                "tracks": 1000,
                "processes": 2,
                "subjects": {
                    report.US: program(1.0, 1.2, unchanged_cpu_seconds=0.04),
                    "beets": program(9.0, 9.0),
                    report.LOOP: program(0.9, 0.6),
                    report.PARALLEL_LOOP: program(0.8, 0.7),
                },
            },
            "size": {"sizes": {"1000": size(1000, 1.0), "100000": size(100_000, 1.3)}},
        },
    }


def test_the_readme_has_what_the_results_say():
    assert report.block_of() == report.readme_block(report.recorded()), "run `make bench-table`"


def test_pages_have_what_the_results_beside_them_say():
    for results in report.RESULTS.rglob("results.json"):
        page = (results.parent / "results.md").read_text(encoding="utf-8")
        assert page == report.markdown(report.load(results.parent), results.parent)


def test_ratios_are_those_of_the_same_run():
    value, baseline = (figures.figure("s", values) for values in ([1.0, 40.0], [2.0, 80.0]))
    assert figures.ratio(value, baseline) == 0.5
    assert figures.ratio(value, None) is None
    assert figures.ratio(value, figures.figure("s", [0.0])) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (18.0, "18"),
        (0.01234, "0.012"),
        (1.234, "1.23"),
        (12.34, "12.3"),
        (1234.5, "1,234"),
    ],
)
def test_numbers_have_three_digits_that_count(value, text):
    assert figures.number(value) == text


def test_a_figure_shows_median_and_spread():
    assert figures.shown(figures.figure("s", [3.0, 1.0, 2.0])) == "2 s (1 to 3)"
    assert figures.shown(figures.figure("B", [3 * figures.MIB])) == "3 MiB"


def test_every_value_has_a_unit():
    with pytest.raises(KeyError):
        figures.summarise([{"unheard_of": 1.0}])


def test_a_value_that_one_run_lacks_is_summed_up_from_the_others():
    found = figures.summarise([{"scan_seconds": 1.0}, {"scan_seconds": 3.0, "after_pss": 5.0}])
    assert found["scan_seconds"]["values"] == [1.0, 3.0]
    assert found["after_pss"]["values"] == [5.0]


def test_targets_are_judged(results):
    met = {target.text: target.met for target in report.targets(results)}
    assert met == {
        "idle memory of nine services: 85 % less": True,
        "scan no longer than with nine services": True,
        "CPU for a scan below that with nine services": False,
        "first scan at least 10 times as fast as beets": False,
        "at least 0.7 of 2 bare mutagen processes' pace": True,
        "whole system, first scan of 10,000 files: 8 CPU seconds": False,
        "whole system, unchanged rescan of 10,000 files: 0.5 CPU seconds": True,
        "time for each file within 15 % from 1,000 to 100,000 tracks": False,
        "worker's memory within 15 % from 1,000 to 100,000 tracks": True,
        "similar tracks of 100,000 tracks: 20 ms": True,
        "search of 100,000 tracks: 50 ms": True,
    }


def test_one_size_alone_judges_nothing(results):
    del results["sections"]["size"]["sizes"]["100000"]
    assert not any("tracks:" in target.text for target in report.targets(results))


def test_readme_and_page_have_the_figures(results, tmp_path):
    block = report.readme_block([results])
    assert "| memory, idle | 600 MiB (540 to 660) | 60 MiB (54 to 66) | -90 % |" in block
    assert "Left out: MPD (not installed)." in block
    assert "`abc123`" in block
    report.write(results, tmp_path)
    assert report.load(tmp_path) == json.loads(json.dumps(results))
    assert "| search of 100,000 tracks: 50 ms |" in (tmp_path / "results.md").read_text()


def test_the_block_goes_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.put_into_readme("new\n", readme)
    assert readme.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    assert report.block_of(readme) == "new\n"
    readme.write_text("no place")
    with pytest.raises(ValueError, match="no place for the table"):
        report.put_into_readme("new\n", readme)


def test_emulated_figures_are_marked_and_not_for_the_readme(results, tmp_path):
    emulated = copy.deepcopy(results)
    emulated["machine"]["emulated"] = True
    report.write(emulated, tmp_path / "full")
    assert "(emulated)" in (tmp_path / "full" / "results.md").read_text().splitlines()[0]
    assert report.recorded(tmp_path) == []
    report.write(results, tmp_path / "quick")
    assert [each["machine"]["emulated"] for each in report.recorded(tmp_path)] == [False]


def test_each_section_comes_from_the_fullest_measurement_that_has_it(results):
    full = copy.deepcopy(results)
    full["commit"] = "def456"
    full["sections"] = {"size": full["sections"].pop("size")}
    block = report.readme_block([full, results])
    assert block.index("`abc123`") < block.index("| memory, idle |") < block.index("`def456`")
    assert block.count("| similar tracks |") == 1
