"""The soak's rule: what rises steadily is growth, noise and a single leap are none."""

import random

import pytest

from tests.soak import METRICS, grown

CYCLES = 40


def cycles(**values):
    """Return so many cycles: all metrics stay at 100 but those given by a function of the cycle."""
    level = dict.fromkeys(METRICS, 100.0)
    return [level | {name: at(number) for name, at in values.items()} for number in range(CYCLES)]


def test_what_stays_has_not_grown():
    assert grown(cycles()) == []


@pytest.mark.parametrize("name", METRICS)
def test_steady_rise_is_growth(name):
    _, part, least = METRICS[name]
    step = 3 * max(part * 100, least) / (CYCLES / 2)
    [sentence] = grown(cycles(**{name: lambda number: 100 + step * number}))
    assert sentence.startswith(f"{name} rose by")


def test_rise_in_the_first_half_is_a_warm_up():
    assert grown(cycles(parent_heap=lambda number: min(number, CYCLES // 2))) == []


def test_noise_and_single_leaps_are_no_growth():
    chance = random.Random(1)
    noisy = cycles(
        parent_heap=lambda number: 100 + chance.uniform(-2, 2),
        connections=lambda number: 100 if number == CYCLES - 1 else 4,
    )
    assert grown(noisy) == []
