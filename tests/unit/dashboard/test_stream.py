"""The format of events, and ids."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_worker.dashboard.stream import Message, Position, encode, event_text, parse_id, show_id

json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_an_event_is_one_block_of_three_lines_whatever_it_holds(data):
    text = event_text("kind", data, "1-2")
    assert text.endswith("\n\n")
    lines = text[:-2].split("\n")
    assert lines[:2] == ["id: 1-2", "event: kind"]
    assert json.loads(lines[2].removeprefix("data: ")) == data
    assert len(lines) == 3


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_json_is_valid_utf_8_also_for_lone_surrogates(text):
    assert isinstance(json.loads(encode({"x": text}).encode("utf-8").decode("utf-8"))["x"], str)


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_ids_survive(left, right):
    assert parse_id(show_id((left, right))) == (left, right)


@pytest.mark.parametrize(
    "text", ["", "-", "1-", "-1", "a", "1-2-3", "1" * 30, "\u0663-\u0661", "$", "1-2\n3"]
)
def test_what_is_no_id(text):
    assert parse_id(text) is None


def test_a_filter_lets_through_its_scan_and_what_is_for_all():
    one = Position(None, 1, 0)
    assert one.wants(Message("", scan=1))
    assert one.wants(Message("", for_all=True))
    assert not one.wants(Message("", scan=2))
    assert not one.wants(Message(""))
    assert Position(None, None, 0).wants(Message("", scan=2))
