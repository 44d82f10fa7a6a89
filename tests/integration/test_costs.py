"""Has anything become twice as dear? Ratios that do not depend on the machine."""

import pytest

from benchmarks import guard
from benchmarks.lab import isolated
from benchmarks.libraries import made_up
from tests.support.measuring import measures

# Each lies between what was measured and its double.
MOST_TIMES_A_MUTAGEN_LOOP = 2.3
MOST_TIMES_A_BARE_WORKER = 1.4


@measures
@pytest.mark.slow
def test_a_scan_takes_few_times_the_processor_time_of_a_bare_loop(tmp_path):
    library, warm_up = made_up(tmp_path, 2000), made_up(tmp_path, 300)
    cpu = isolated(guard.scan_cpu, tmp_path / "lab", library, warm_up)
    assert cpu["ours"] / cpu["loop"] < MOST_TIMES_A_MUTAGEN_LOOP, cpu


@measures
@pytest.mark.slow
def test_idling_takes_little_more_memory_than_a_bare_worker(tmp_path):
    memory = {kind: isolated(guard.idle_memory, kind, tmp_path / kind) for kind in ("ours", "bare")}
    assert memory["ours"] / memory["bare"] < MOST_TIMES_A_BARE_WORKER, memory
