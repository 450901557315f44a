"""Q(lambda) by hand: where a return goes on, where it is cut, and what it is cut with."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.losses.q_lambda import q_lambda_targets

REWARDS = [1.0, 2.0, 3.0]
NEXT_VALUES = [10.0, 20.0, 30.0]
NONE, SECOND = [False] * 3, [False, True, False]


def targets(
    next_values: list[float], terminated: list[bool], truncated: list[bool], q_lambda: float
) -> np.ndarray:
    """Of one environment with gamma 0.5, compiled and not."""
    columns = [
        tf.constant(column)[:, None] for column in (REWARDS, next_values, terminated, truncated)
    ]
    plain = q_lambda_targets(*columns, 0.5, q_lambda)
    compiled = tf.function(q_lambda_targets, jit_compile=True)(*columns, 0.5, q_lambda)
    np.testing.assert_allclose(plain, compiled, rtol=1e-6)
    return plain.numpy()[:, 0]


@pytest.mark.parametrize(
    ("terminated", "truncated", "q_lambda", "expected"),
    [
        # One step each: r + V / 2.
        (NONE, NONE, 0.0, [6.0, 12.0, 18.0]),
        # Whole returns, bootstrapped in the last row: 3 + 15, 2 + 18 / 2, 1 + 11 / 2.
        (NONE, NONE, 1.0, [6.5, 11.0, 18.0]),
        # Half of each: 2 + (20 + 18) / 4, 1 + (10 + 11.5) / 4.
        (NONE, NONE, 0.5, [6.375, 11.5, 18.0]),
        # The second step ends its episode: 2, then 1 + (10 + 2) / 4.
        (SECOND, NONE, 0.0, [6.0, 2.0, 18.0]),
        (SECOND, NONE, 0.5, [4.0, 2.0, 18.0]),
        (SECOND, NONE, 1.0, [2.0, 2.0, 18.0]),
        # It cuts it: 2 + 20 / 2 whatever lambda is, then 1 + (10 + 12) / 4.
        (NONE, SECOND, 0.0, [6.0, 12.0, 18.0]),
        (NONE, SECOND, 0.5, [6.5, 12.0, 18.0]),
        (NONE, SECOND, 1.0, [7.0, 12.0, 18.0]),
        # An end that is also cut is an end.
        (SECOND, SECOND, 0.5, [4.0, 2.0, 18.0]),
        ([False, False, True], NONE, 1.0, [2.75, 3.5, 3.0]),
        (NONE, [False, False, True], 1.0, [6.5, 11.0, 18.0]),
    ],
)
def test_three_steps_of_one_environment(terminated, truncated, q_lambda, expected):
    found = targets(NEXT_VALUES, terminated, truncated, q_lambda)
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_the_value_of_a_terminal_state_does_not_count(nothing):
    """Often wrong: times zero. Of a state without legal actions it is minus infinity."""
    found = targets([10.0, nothing, 30.0], SECOND, NONE, 0.5)
    np.testing.assert_allclose(found, [4.0, 2.0, 18.0])


def test_environments_do_not_mix():
    generator = np.random.default_rng(0)
    rewards, values = generator.normal(size=(2, 5, 3)).astype(np.float32)
    terminated, truncated = generator.random((2, 5, 3)) < 0.2
    whole = q_lambda_targets(*map(tf.constant, (rewards, values, terminated, truncated)), 0.9, 0.7)
    for index in range(3):
        own = (column[:, index : index + 1] for column in (rewards, values, terminated, truncated))
        alone = q_lambda_targets(*map(tf.constant, own), 0.9, 0.7)
        np.testing.assert_allclose(whole[:, index], alone[:, 0], rtol=1e-6)


def test_no_gradient_passes():
    values = tf.constant([[1.0], [2.0]])
    flags = tf.zeros([2, 1], tf.bool)
    with tf.GradientTape() as tape:
        tape.watch(values)
        found = q_lambda_targets(tf.ones([2, 1]), values, flags, flags, 0.9, 0.5)
    assert tape.gradient(found, values) is None


def test_other_shapes_are_refused():
    flags = tf.zeros([2, 1], tf.bool)
    with pytest.raises(ValueError):
        q_lambda_targets(tf.ones([2, 1]), tf.ones([3, 1]), flags, flags, 0.9, 0.5)
