"""The comparison of what the walk found with what the database knows."""

from hypothesis import given
from hypothesis import strategies as st

from backend_worker.library.discovery import Verdict, compare

SCAN = 7


def verdicts(found, known, *, judged=Verdict.READ, under_way=()):
    result = compare(
        found, known, scan_id=SCAN, judge=lambda _path, _time: judged, under_way=under_way
    )
    return [(verdict, path) for verdict, path, _ in result]


def known(path, *, mtime=1, state="stored", scan_id=None):
    return (path, 1, mtime, 1, state, scan_id)


def test_new_changed_unchanged_and_missing():
    assert verdicts(
        [(b"a", 1, 1), (b"c", 2, 1), (b"d", 1, 9), (b"e", 1, 1)],
        [known(b"b"), known(b"c"), known(b"d"), known(b"e"), known(b"f")],
    ) == [
        (Verdict.READ, b"a"),
        (Verdict.MISSING, b"b"),
        (Verdict.READ, b"c"),
        (Verdict.READ, b"d"),
        (Verdict.UNCHANGED, b"e"),
        (Verdict.MISSING, b"f"),
    ]


def test_unreadable_file_is_read_again_only_when_it_changed():
    rows = [known(b"a", state="failed"), known(b"b", state="failed")]
    assert verdicts([(b"a", 1, 1), (b"b", 1, 2)], rows) == [
        (Verdict.FAILED, b"a"),
        (Verdict.READ, b"b"),
    ]


def test_gone_file_is_read_when_it_is_back_and_not_missed_again():
    rows = [known(b"a", state="gone"), known(b"b", state="gone")]
    assert verdicts([(b"a", 1, 1)], rows) == [(Verdict.READ, b"a")]


def test_fresh_file_is_left_but_unchanged_one_is_not_fresh():
    for judged in (Verdict.FRESH, Verdict.WATCH):
        assert verdicts([(b"a", 1, 5), (b"b", 1, 5)], [known(b"b", mtime=5)], judged=judged) == [
            (judged, b"a"),
            (Verdict.UNCHANGED, b"b"),
        ]


def test_what_this_scan_has_read_or_sent_is_under_way():
    rows = [known(b"a", scan_id=SCAN), known(b"b", scan_id=SCAN - 1)]
    assert verdicts([(b"a", 1, 1), (b"b", 1, 1), (b"c", 1, 1)], rows, under_way={b"c"}) == [
        (Verdict.UNDER_WAY, b"a"),
        (Verdict.UNCHANGED, b"b"),
        (Verdict.UNDER_WAY, b"c"),
    ]


paths = st.sets(st.binary(min_size=1, max_size=3), max_size=12)


@given(paths, paths)
def test_every_path_gets_exactly_one_verdict(on_disk, in_database):
    result = verdicts(
        [(path, 1, 1) for path in sorted(on_disk)], [known(path) for path in sorted(in_database)]
    )
    by_verdict = {verdict: {path for v, path in result if v is verdict} for verdict in Verdict}
    assert len(result) == len(on_disk | in_database)
    assert by_verdict[Verdict.READ] == on_disk - in_database
    assert by_verdict[Verdict.UNCHANGED] == on_disk & in_database
    assert by_verdict[Verdict.MISSING] == in_database - on_disk
