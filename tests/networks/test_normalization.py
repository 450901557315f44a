"""Running statistics against those of all numbers at once."""

import numpy as np
import pytest

from dopamine_lite.networks.normalization import (
    ObservationNormalizer,
    RewardNormalizer,
    RunningMoments,
)


def test_moments_of_batches_are_those_of_the_whole():
    numbers = np.random.default_rng(0).normal(5, 3, size=(100, 2))
    moments = RunningMoments((2,))
    for start, stop in ((0, 1), (1, 40), (40, 100)):
        moments.update(numbers[start:stop])
    assert moments.count == 100
    np.testing.assert_allclose(moments.mean, numbers.mean(axis=0))
    np.testing.assert_allclose(moments.variance, numbers.var(axis=0))


def test_large_numbers_keep_what_tells_them_apart():
    """Often wrong: added up in float32, in which the mean alone is off by more than a deviation."""
    numbers = np.random.default_rng(0).normal(1e6, 1.0, size=(4096, 2)).astype(np.float32)
    moments = RunningMoments((2,))
    moments.update(numbers[:2048])
    moments.update(numbers[2048:])
    np.testing.assert_allclose(moments.mean, 1e6, rtol=1e-7)
    np.testing.assert_allclose(moments.variance, 1.0, rtol=0.1)


def test_moments_go_on_from_their_state():
    numbers = np.random.default_rng(0).normal(size=(10, 3))
    first, second = RunningMoments((3,)), RunningMoments((3,))
    first.update(numbers[:4])
    second.set_state(first.get_state())
    for moments in (first, second):
        moments.update(numbers[4:])
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.variance, second.variance)


def test_observations_are_normalized_and_cut():
    normalizer = ObservationNormalizer((2,))
    np.testing.assert_allclose(normalizer(np.array([[3.0, -40.0]])), [[3.0, -10.0]])
    normalizer.moments.update(np.array([[0.0, 10.0], [4.0, 30.0]]))
    scaled = normalizer(np.array([[4.0, 10.0]]))
    np.testing.assert_allclose(scaled, [[1.0, -1.0]], rtol=1e-6)
    assert scaled.dtype == np.float32


def test_rewards_are_divided_by_the_deviation_of_discounted_returns():
    normalizer = RewardNormalizer(num_envs=2, gamma=0.5)
    rewards = np.array([[1.0, 0.0], [2.0, 4.0], [8.0, 0.0]])
    ended = np.array([[False, False], [True, False], [False, False]])
    returns = [
        1.0,
        0.0,
        2.5,
        4.0,
        8.0,
        2.0,
    ]  # the first environment's begins anew after its second step
    scaled = normalizer(rewards, ended)
    np.testing.assert_allclose(scaled, rewards / np.std(returns), rtol=1e-6)
    again = normalizer(np.array([[0.0, 1.0]]), np.zeros((1, 2), bool))
    np.testing.assert_allclose(again[0, 1], 1 / np.std([*returns, 4.0, 2.0]), rtol=1e-6)


def test_rewards_go_on_from_their_state():
    generator = np.random.default_rng(0)
    first, second = (RewardNormalizer(2, 0.9) for _ in range(2))
    first(generator.normal(size=(5, 2)), np.zeros((5, 2), bool))
    second.set_state(first.get_state())
    rewards, ended = generator.normal(size=(3, 2)), generator.random((3, 2)) < 0.5
    np.testing.assert_array_equal(first(rewards, ended), second(rewards, ended))


def test_what_is_far_out_is_cut():
    rewards = np.zeros((1000, 1))
    rewards[-1] = 1e6  # 32 deviations
    assert RewardNormalizer(1, 0.0)(rewards, np.ones((1000, 1), bool)).max() == 10
    np.testing.assert_array_equal(ObservationNormalizer((1,))(np.array([[40.0]])), [[10.0]])


@pytest.mark.parametrize("value", [0.0, 1e-30, 0.1, -33.3, 1e6, 3e38])
def test_a_number_that_never_changes_is_zero(value):
    """Often wrong: rounding over a deviation of nothing."""
    normalizer = ObservationNormalizer((2,))
    for size in (1, 7, 128, 1000):
        batch = np.full((size, 2), value, np.float32)
        normalizer.moments.update(batch)
        np.testing.assert_array_equal(normalizer(batch), 0.0)
