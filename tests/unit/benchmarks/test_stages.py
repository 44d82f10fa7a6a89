"""Which stage a stack belongs to, and the picture of them all."""

from xml.etree import ElementTree

import pytest

from benchmarks.flame import flame_graph
from benchmarks.stages import drawn, parse, stage_of, waits

SITE = "/x/lib/python3.13/site-packages"
TRACE = f"fast_trace_task ({SITE}/celery/app/trace.py:1)"
CHILD = f"Worker.workloop ({SITE}/billiard/pool.py:1)"
READER = "read_track (/y/backend_worker/library/tags/reader.py:1)"
STORE = "stage (/y/backend_worker/storage/staging.py:1)"
TASK = "extract_batch (/y/backend_worker/tasks/extract.py:1)"


@pytest.mark.parametrize(
    ("inner", "stage"),
    [
        ([], "tasks"),
        ([f"loads ({SITE}/kombu/serialization.py:1)", "decode (/z/json/decoder.py:1)"], "Celery"),
        ([f"send ({SITE}/kombu/messaging.py:1)", f"execute ({SITE}/redis/client.py:1)"], "Redis"),
        ([READER], "tags"),
        ([READER, f"MP3 ({SITE}/mutagen/mp3.py:1)"], "tags"),
        ([STORE, f"execute_values ({SITE}/psycopg2/extras.py:1)"], "database"),
        ([STORE, "dumps (/z/json/__init__.py:1)"], "database"),
        (["group (/y/backend_worker/library/grouping.py:1)"], "grouping"),
        (["files (/y/backend_worker/library/walk.py:1)"], "walk"),
        (
            [
                "publish (/y/backend_worker/progress/events.py:1)",
                f"execute ({SITE}/redis/client.py:1)",
            ],
            "events",
        ),
        (["put (/y/backend_worker/library/artwork/store.py:1)"], "covers"),
        (
            [
                "_find_and_load (<frozen importlib._bootstrap>:1)",
                f"<module> ({SITE}/sklearn/base.py:1)",
            ],
            "imports",
        ),
    ],
)
def test_the_innermost_known_frame_decides(inner, stage):
    assert stage_of([CHILD, TRACE, TASK, *inner]) == stage


def test_what_nobody_knows_is_other():
    assert stage_of(["main (/y/main.py:1)"]) == "other"


def test_a_child_without_work_does_not_count():
    assert waits([CHILD, f"Connection._recv ({SITE}/billiard/connection.py:1)"])
    assert waits([f"_epoll.poll ({SITE}/kombu/utils/eventio.py:1)"])
    assert not waits([CHILD, f"Connection._send ({SITE}/billiard/connection.py:1)"])


def test_lines_of_py_spy_are_read():
    line = f'process 12:"python -m x";{CHILD};{TASK} 7'
    assert parse(line) == ([CHILD, TASK], 7)


def test_children_are_drawn_alike_whatever_forked_them():
    later = ["loop (celery/worker/loops.py:1)", "grow (x.py:1)", CHILD, TASK]
    expected = [
        "Worker.workloop (billiard/pool.py)",
        "extract_batch (backend_worker/tasks/extract.py)",
    ]
    assert drawn([CHILD, TASK]) == drawn(later) == expected


def test_the_flame_graph_is_small_and_well_formed():
    stacks = [([f"outer & {number % 3}", f"<inner> {number}"], 1) for number in range(3000)]
    svg = flame_graph(stacks, "a & b")
    tree = ElementTree.fromstring(svg)
    titles = [title.text for title in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["all: 100.0%", *(f"outer & {number}: 33.3%" for number in range(3))]
    assert len(svg) < 10_000
