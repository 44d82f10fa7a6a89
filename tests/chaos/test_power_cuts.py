"""Ten power cuts at random moments of one scan: it ends as if the power had never failed."""

import contextlib
import functools
import sys
import time

import pytest

from backend_worker.cli.scan import start_scan
from backend_worker.storage import scans
from tests.support.disturbance import TRACKS, check, cut_the_power, started

pytestmark = pytest.mark.chaos

CUTS = 10
LEAST_IN_MID_SCAN = 5
# Where a moment is past already, the power fails while the worker starts.
START_SECONDS = 2.0


def test_ten_power_cuts(library, servers, sample, undisturbed, chance, capsys):
    scan_id = start_scan(sample)
    moments = sorted(chance.uniform(0, 0.9 * TRACKS) for _ in range(CUTS))
    cuts = []
    with contextlib.ExitStack() as workers:
        for moment in moments:
            worker = workers.enter_context(started(servers))
            if scans.get(scan_id).stored >= moment:
                time.sleep(chance.uniform(0, START_SECONDS))
            else:
                library.wait_for(
                    functools.partial(reached, scan_id, moment), what="some more tracks"
                )
            cut_the_power(worker, servers)
            status = scans.get(scan_id)
            cuts.append((status.stored, status.active))
        workers.enter_context(started(servers))
        check(scan_id, undisturbed)
    with capsys.disabled():
        sys.stdout.write(f"stored after each cut: {[stored for stored, _ in cuts]}\n")
    assert sum(active for _, active in cuts) >= LEAST_IN_MID_SCAN


def reached(scan_id, moment):
    return scans.get(scan_id).stored >= moment
