import pytest

from tests.support.pool import Pool


@pytest.fixture
def pool(tmp_path):
    pool = Pool(tmp_path / "journal")
    try:
        pool.run_until(lambda: len(pool.idle_pids()) == 2, "two idle processes")
        yield pool
    finally:
        pool.end()
