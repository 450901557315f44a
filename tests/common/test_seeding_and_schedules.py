"""One seed, many generators; epsilon's schedule."""

import numpy as np
import pytest

from dopamine_lite.common.schedules import linearly_decaying
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator


def test_the_same_path_gives_the_same_numbers():
    first = Seeds(1).child("agent").generator("replay").random(5)
    np.testing.assert_array_equal(first, Seeds(1).generator("agent", "replay").random(5))


def test_a_seed_gives_the_numbers_that_it_always_gave():
    """Other numbers would make every published run of a seed another run."""
    assert Seeds(1).integer("environment", "train", 3) == 2118890719
    assert Seeds(1).generator("agent").integers(2**31) == 1064737494


def test_every_path_gives_other_numbers():
    """Often wrong: one seed drives environment and exploration, so they correlate."""
    paths = [("agent",), ("environment",), ("agent", 0), ("agent", 1), ("environment", 0), (0, 1)]
    numbers = {Seeds(seed).integer(*path) for seed in (0, 1) for path in paths}
    assert len(numbers) == 2 * len(paths)


def test_a_path_does_not_depend_on_what_else_was_asked_for():
    seeds = Seeds(3)
    before = seeds.integer("b")
    seeds.generator("a").random(100)
    assert seeds.integer("b") == before


def test_a_generator_goes_on_from_its_state():
    generator = Seeds(0).generator("x")
    generator.random(7)
    state = generator_state(generator)
    expected = generator.integers(10, size=9)
    other = Seeds(5).generator("y")
    restore_generator(other, state)
    np.testing.assert_array_equal(other.integers(10, size=9), expected)


@pytest.mark.parametrize(
    ("step", "value"), [(0, 1.0), (100, 1.0), (150, 0.55), (200, 0.1), (10**9, 0.1)]
)
def test_linear_decay(step, value):
    decayed = linearly_decaying(step, start=1.0, end=0.1, warmup=100, period=100)
    assert decayed == pytest.approx(value)


def test_a_decay_of_no_length_is_a_step():
    assert linearly_decaying(99, 1.0, 0.1, 100, 0) == 1.0
    assert linearly_decaying(100, 1.0, 0.1, 100, 0) == 0.1
