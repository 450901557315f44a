"""Pictures of what agents think: nothing of the game is lost, whatever actions there are."""

from __future__ import annotations

from typing import Any

import gymnasium
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dopamine_lite.agents.explanation import Explanation
from dopamine_lite.analysis.canvas import Range
from dopamine_lite.analysis.explained import (
    HEIGHT,
    WIDTH,
    Explainer,
    Moment,
    quantile_masses,
)
from dopamine_lite.environments.environment import EnvironmentSpec

spaces = gymnasium.spaces
TAKEN = (255, 181, 71)
CAPTION = ("score 1", "step 2")


def explainer(action_space: gymnasium.Space, names: tuple[str, ...] = ()) -> Explainer:
    observations = spaces.Box(0, 1, (3,), np.float32)
    spec = EnvironmentSpec("Own-v0", observations, action_space, 1, action_names=names)
    return Explainer(spec, "OwnAgent, 1 agent steps")


def values(*numbers: float, **further: Any) -> Explanation:
    return Explanation(action_values=np.array([numbers]), **further)


GENERATOR = np.random.default_rng(0)
CASES: dict[str, tuple[gymnasium.Space, Explanation, Any]] = {
    "values": (spaces.Discrete(2), values(1, 2), 1),
    "equal values": (spaces.Discrete(3), values(0, 0, 0), 2),
    "huge values": (spaces.Discrete(2), values(-1e30, 1e30), 0),
    "one action": (spaces.Discrete(1), values(3), 0),
    "actions from minus one": (spaces.Discrete(2, start=-1), values(1, 2), -1),
    "a hundred actions": (spaces.Discrete(100), values(*GENERATOR.normal(size=100)), 99),
    "all of atari": (
        spaces.Discrete(18),
        values(*GENERATOR.normal(size=18), quantiles=GENERATOR.normal(size=(1, 18, 200))),
        4,
    ),
    "atoms": (
        spaces.Discrete(2),
        values(1, 2, atoms=np.linspace(-10, 10, 51), probabilities=np.full((1, 2, 51), 1 / 51)),
        1,
    ),
    "one quantile": (spaces.Discrete(2), values(1, 2, quantiles=np.array([[[1.0], [2.0]]])), 1),
    "probabilities": (
        spaces.Discrete(3),
        Explanation(policy=np.array([[0.2, 0.8, 0.0]]), state_values=np.array([1.0])),
        1,
    ),
    "several actions": (
        spaces.MultiDiscrete([2, 3]),
        Explanation(policy=np.array([[0.5, 0.5, 0.1, 0.2, 0.7]])),
        [1, 2],
    ),
    "numbers": (
        spaces.Box(-2, 2, (2,), np.float32),
        Explanation(means=np.array([[9.0, 0.1]]), deviations=np.array([[1e-9, 1e8]])),
        [2.0, 0.1],
    ),
    "numbers without bounds": (
        spaces.Box(-np.inf, np.inf, (30,), np.float32),
        Explanation(means=np.zeros((1, 30)), deviations=np.ones((1, 30))),
        np.zeros(30),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_action_is_drawn_and_the_taken_one_is_marked(name):
    space, said, action = CASES[name]
    own = explainer(space)
    for _ in range(3):
        own.see(Moment(said, np.asarray(action), None))
    picture = np.full((210, 160, 3), (1, 2, 200), np.uint8)
    drawn = own.draw(picture, CAPTION)
    assert drawn.shape == (HEIGHT, WIDTH, 3) and drawn.dtype == np.uint8
    assert HEIGHT % 2 == WIDTH % 2 == 0
    game = (drawn == (1, 2, 200)).all(axis=2)
    assert game.sum() == 3 * 210 * 3 * 160  # all of it, enlarged three times, and nothing over it
    assert (drawn == TAKEN).all(axis=2).sum() > 20
    own.see(None)
    nothing = own.draw(picture, CAPTION)
    assert not (nothing == TAKEN).all(axis=2).any()


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((10, 10, 3), (630, 630)),
        ((210, 160, 3), (630, 480)),
        ((400, 600, 3), (413, 620)),
        ((1000, 4000, 3), (155, 620)),
        ((4000, 10, 3), (632, 2)),
    ],
)
def test_a_picture_is_fitted_into_the_room_there_is(shape, size):
    picture = np.full(shape, 250, np.uint8)
    drawn = explainer(spaces.Discrete(2)).draw(picture, ("", ""))
    rows, columns = np.nonzero((drawn == 250).all(axis=2))
    found = (np.ptp(rows) + 1, np.ptp(columns) + 1)
    assert np.abs(np.subtract(found, size)).max() <= 10


def test_names_that_do_not_fit_are_not_used():
    """Of an environment of a user's own making."""
    assert explainer(spaces.Discrete(2), ("a", "b"))._names == ("a", "b")
    assert explainer(spaces.Discrete(3), ("a", "b"))._names == ("action 0", "action 1", "action 2")


def test_illegal_actions_have_no_number():
    own = explainer(spaces.Discrete(2))
    own.see(Moment(values(1, 1e9), np.int64(0), np.array([True, False])))
    assert own._range("values").ends[1] < 2  # they do not stretch the axis
    assert own._history[-1] == 1


def test_axes_grow_and_never_shrink_and_an_episode_begins_its_own_curve():
    own = explainer(spaces.Discrete(2))
    ends = []
    for pair in ((1, 2), (1.4, 1.6), (-5, 7)):
        own.see(Moment(values(*pair), np.int64(0), None))
        ends.append(own._range("values").ends)
    assert ends == [(1, 2), (1, 2), (-5, 7)]
    assert list(own._history) == [2, 1.6, 7]
    own.begin_episode()
    assert not own._history and own._range("values").ends == (-5, 7)


@pytest.mark.parametrize(
    ("shown", "ends"),
    [
        ((5, 6), (5, 6)),
        ((1, 6), (0, 6)),  # zero is near
        ((-9, -1), (-9, 0)),
        ((3, 3), (2.985, 3.015)),
        ((0, 0), (-5e-7, 5e-7)),
    ],
)
def test_an_axis_shows_zero_where_it_is_near_and_is_never_empty(shown, ends):
    axis = Range()
    axis.include(np.array(shown, float))
    assert axis.ends == pytest.approx(ends)
    low, high = axis.ends
    assert axis.share(low) == 0 and axis.share(high) == 1 and axis.share(high + 1) == 1


@pytest.mark.parametrize(
    ("ends", "value", "text"),
    [
        ((0, 1), 0.25, "0.25"),
        ((0, 1000), 123.4, "123"),
        ((0, 30), -1.26, "-1.3"),
        ((0, 0.001), 0.0001234, "0.00012"),
        ((0, 1e30), 1e30, f"{10**30:,.0f}"[:5]),
    ],
)
def test_numbers_have_the_digits_that_tell_them_apart(ends, value, text):
    assert Range(*ends).readable(value).startswith(text)


@pytest.mark.parametrize(
    ("quantiles", "edges", "masses"),
    [
        # Fractions 1/4 and 3/4 at 0 and 1: a quarter lies on each, half between them.
        ([0, 1], [-1, 0.5, 2], [0.5, 0.5]),
        ([1, 0], [-1, 0.25, 0.75, 2], [0.375, 0.25, 0.375]),
        ([0, 1], [0, 0.5, 1], [0.5, 0.5]),
        ([3], [0, 1, 2, 4], [0, 0, 1]),
        ([1, 1, 1, 1], [0, 2, 4], [1, 0]),
        ([0, 2, 4], [0, 1, 2, 3, 4], [1 / 3, 1 / 6, 1 / 6, 1 / 3]),
    ],
)
def test_masses_of_quantiles_worked_by_hand(quantiles, edges, masses):
    found = quantile_masses(np.array(quantiles, float), np.array(edges, float))
    np.testing.assert_allclose(found, masses, atol=1e-12)


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40), st.integers(1, 30))
def test_masses_are_all_there_and_none_is_negative(quantiles, bins):
    edges = np.linspace(-10, 10, bins + 1)
    masses = quantile_masses(np.array(quantiles), edges)
    assert masses.sum() == pytest.approx(1) and masses.min() >= -1e-12
