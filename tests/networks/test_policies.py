"""Policies: what they draw, its probabilities, and both networks by every way of computing them."""

from __future__ import annotations

import functools

import gymnasium
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from dopamine_lite.acting.inference import NumpyNetwork
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.actor_critic import ActorCriticHead, TwinTorso
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.policies import CategoricalPolicy, GaussianPolicy, policy_for
from dopamine_lite.networks.torsos import MLP

SPACES = {
    "discrete": gymnasium.spaces.Discrete(3),
    "several": gymnasium.spaces.MultiDiscrete([2, 3]),
    "box": gymnasium.spaces.Box(-1, 1, (2,), np.float32),
}


def network(space: gymnasium.Space, twin: bool = True, seed: int = 0) -> Network:
    seeds = Seeds(seed)
    torso = functools.partial(MLP, hidden_units=(16, 8), activation="tanh")
    policy = policy_for(seeds.child("policy"), space, "PPOAgent")
    return Network(
        TwinTorso(seeds, torso) if twin else torso(seeds),
        ActorCriticHead(seeds, policy, twin),
        gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32),
    )


@pytest.mark.parametrize("kind", [CategoricalPolicy, GaussianPolicy])
def test_gain_is_the_scale_of_the_first_kernel(kind):
    space = SPACES["box" if kind is GaussianPolicy else "several"]
    policies = [kind(Seeds(0), space), kind(Seeds(0), space, gain=0.5)]
    for policy in policies:
        policy(tf.zeros([1, 7]))  # builds it
    small, large = (policy.layers[0].trainable_variables[0].numpy() for policy in policies)
    np.testing.assert_allclose(large, 50 * small, rtol=1e-5)
    np.testing.assert_allclose(large.T @ large, 0.25 * np.eye(large.shape[1]), atol=1e-6)


EXPORTED = SPACES | {
    "from -1 on": gymnasium.spaces.Discrete(3, start=-1),
    "whole numbers": gymnasium.spaces.Box(-1, 2, (2,), np.int64),
    "bytes": gymnasium.spaces.Box(0, 255, (2, 2), np.uint8),
    "doubles": gymnasium.spaces.Box(-0.1, 0.1, (2,), np.float64),
}


@pytest.mark.parametrize("space", EXPORTED)
def test_an_exported_policy_takes_the_likeliest_action(space):
    policy = policy_for(Seeds(0), EXPORTED[space], "PPOAgent")
    generator = np.random.default_rng(0)
    outputs = 2 * generator.normal(size=(9, policy.size)).astype(np.float32)
    expected = policy.to_environment(policy.mode(outputs, generator))
    exported = policy.exported_mode(tf.constant(outputs)).numpy()
    np.testing.assert_allclose(exported, expected, rtol=1e-6)
    assert exported.dtype == expected.dtype == np.asarray(EXPORTED[space].sample()).dtype


@pytest.mark.parametrize(
    ("space", "drawn", "expected"),
    [
        (
            gymnasium.spaces.Box(-3, 3, (6,), np.int32),
            (-1.6, -0.7, 0.4, 0.9, 2.6, 9),
            (-2, -1, 0, 1, 3, 3),
        ),
        (gymnasium.spaces.Box(0, 255, (3,), np.uint8), (-0.9, 254.6, 300), (0, 255, 255)),
        (
            gymnasium.spaces.Box(-(2**31), 2**31 - 1, (2,), np.int32),
            (-3e9, 3e9),
            (-(2**31), 2**31 - 128),
        ),
        (gymnasium.spaces.Box(-(2**63), 2**63 - 1, (1,), np.int64), (1e20,), (2**63 - 2**39,)),
    ],
)
def test_whole_numbers_are_the_nearest_inside_the_box(space, drawn, expected):
    """Often wrong: cut towards zero, which takes twice as many draws as its neighbors."""
    policy = policy_for(Seeds(0), space, "PPOAgent")
    actions = policy.to_environment(np.array([drawn], np.float32))
    assert actions.dtype == space.dtype and actions[0].tolist() == list(expected)
    outputs = tf.constant([[*drawn, *np.zeros(len(drawn))]], tf.float32)
    exported = policy.exported_mode(outputs).numpy()
    assert exported.dtype == space.dtype and exported[0].tolist() == list(expected)


@pytest.mark.parametrize("twin", [True, False])
@pytest.mark.parametrize("space", SPACES)
def test_numpy_equals_tensorflow(space, twin):
    built = network(SPACES[space], twin)
    generator = np.random.default_rng(0)
    for variable in built.variables:
        variable.assign(generator.normal(size=variable.shape))
    in_numpy = NumpyNetwork(built)
    in_numpy.load(built.flat_parameters().numpy())
    observations = generator.normal(size=(4, 5)).astype(np.float32)
    outputs = in_numpy(observations)
    assert outputs.shape == (4, built.head.policy.size + 1)
    np.testing.assert_allclose(outputs, built(tf.constant(observations)), rtol=1e-4, atol=1e-5)


def test_a_twin_torso_keeps_policy_and_value_apart():
    built = network(SPACES["discrete"])
    observations = tf.ones([1, 5])
    with tf.GradientTape() as tape:
        value = built(observations)[:, -1]
    gradients = tape.gradient(value, built.variables)
    touched = [gradient is not None and bool(np.any(gradient)) for gradient in gradients]
    assert touched == [False] * 4 + [True] * 4 + [False] * 2 + [True] * 2


def test_discrete_draws_have_their_probabilities():
    policy = policy_for(Seeds(0), SPACES["several"], "PPOAgent")
    logits = np.log([0.2, 0.8, 0.5, 0.3, 0.2]).astype(np.float32)
    outputs = np.tile(logits, (20_000, 1))
    actions = policy.sample(outputs, np.random.default_rng(0))
    for column, expected in enumerate(([0.2, 0.8], [0.5, 0.3, 0.2])):
        counts = np.bincount(actions[:, column])
        assert scipy.stats.chisquare(counts, np.array(expected) * 20_000).pvalue > 1e-3
    np.testing.assert_array_equal(policy.mode(outputs[:1], np.random.default_rng(0)), [[1, 0]])
    logs = policy.log_probabilities(tf.constant(outputs[:2]), tf.constant([[0, 1], [1, 2]]))
    np.testing.assert_allclose(logs, np.log([0.2 * 0.3, 0.8 * 0.2]), rtol=1e-5)
    entropy = scipy.stats.entropy([0.2, 0.8]) + scipy.stats.entropy([0.5, 0.3, 0.2])
    np.testing.assert_allclose(policy.entropies(tf.constant(outputs[:1])), [entropy], rtol=1e-5)


def test_discrete_divergence():
    policy = policy_for(Seeds(0), SPACES["discrete"], "PPOAgent")
    old, new = np.array([[0.2, 0.3, 0.5]]), np.array([[0.1, 0.6, 0.3]])
    found = policy.divergences(tf.constant(np.log(old)), tf.constant(np.log(new) + 7))
    np.testing.assert_allclose(found, [scipy.stats.entropy(old[0], new[0])])


def test_the_divergence_of_several_actions_is_the_sum_of_theirs():
    policy = policy_for(Seeds(0), SPACES["several"], "PPOAgent")
    old, new = [[0.2, 0.8], [0.2, 0.3, 0.5]], [[0.6, 0.4], [0.1, 0.6, 0.3]]
    found = policy.divergences(
        *(tf.constant([np.log(np.concatenate(both))]) for both in (old, new))
    )
    expected = sum(scipy.stats.entropy(*pair) for pair in zip(old, new, strict=True))
    np.testing.assert_allclose(found, [expected])


def test_gaussian_draws_and_their_densities():
    policy = policy_for(Seeds(0), SPACES["box"], "PPOAgent")
    outputs = np.array([[0.5, -1.0, np.log(0.3), np.log(2.0)]], np.float32)
    actions = policy.sample(np.repeat(outputs, 20_000, axis=0), np.random.default_rng(0))
    exact = [scipy.stats.norm(0.5, 0.3), scipy.stats.norm(-1.0, 2.0)]
    for column, distribution in enumerate(exact):
        assert scipy.stats.kstest(actions[:, column], distribution.cdf).pvalue > 1e-3
    point = np.array([[0.1, 1.5]], np.float32)
    np.testing.assert_allclose(
        policy.log_probabilities(tf.constant(outputs), tf.constant(point)),
        [sum(one.logpdf(x) for one, x in zip(exact, point[0], strict=True))],
        rtol=1e-5,
    )
    entropy = sum(one.entropy() for one in exact)
    np.testing.assert_allclose(policy.entropies(tf.constant(outputs)), [entropy], rtol=1e-5)
    np.testing.assert_allclose(policy.mode(outputs, np.random.default_rng(0)), [[0.5, -1.0]])
    np.testing.assert_allclose(
        policy.to_environment(np.array([[0.5, -3.0]], np.float32)), [[0.5, -1.0]]
    )


def test_gaussian_divergence_is_the_mean_log_ratio():
    policy = GaussianPolicy(Seeds(0), SPACES["box"])
    old = np.array([[0.5, -1.0, np.log(0.3), np.log(2.0)]], np.float32)
    new = np.array([[0.2, -0.5, np.log(0.5), np.log(1.5)]], np.float32)
    draws = policy.sample(np.repeat(old, 200_000, axis=0), np.random.default_rng(0))
    logs = [
        policy.log_probabilities(tf.repeat(outputs, 200_000, axis=0), tf.constant(draws)).numpy()
        for outputs in (old, new)
    ]
    exact = float(policy.divergences(tf.constant(old), tf.constant(new))[0])
    assert exact == pytest.approx(np.mean(logs[0] - logs[1]), abs=0.01)
    np.testing.assert_allclose(
        policy.divergences(tf.constant(old), tf.constant(old)), [0], atol=1e-6
    )


def test_actions_may_begin_anywhere():
    single = policy_for(Seeds(0), gymnasium.spaces.Discrete(3, start=-1), "PPOAgent")
    np.testing.assert_array_equal(single.to_environment(np.array([[0], [2]])), [-1, 1])
    several = policy_for(Seeds(0), gymnasium.spaces.MultiDiscrete([2, 2], start=[5, 0]), "PPOAgent")
    np.testing.assert_array_equal(several.to_environment(np.array([[0, 1]])), [[5, 1]])


def test_masked_actions_have_no_probability_and_finite_gradients():
    policy = policy_for(Seeds(0), SPACES["discrete"], "PPOAgent")
    masked = policy.mask(np.zeros((1, 3), np.float32), np.array([[True, False, True]]))
    draws = policy.sample(np.repeat(masked, 1_000, axis=0), np.random.default_rng(0))
    assert set(draws[:, 0]) == {0, 2}
    logits = tf.Variable(tf.random.stateless_normal([1, 3], [0, 1]))
    with tf.GradientTape() as tape:
        outputs = policy.mask_as(logits, tf.constant(masked))
        total = (
            policy.log_probabilities(outputs, tf.constant([[2]]))
            + policy.entropies(outputs)
            + policy.divergences(tf.constant(masked), outputs)
        )
    gradient = tape.gradient(total, logits).numpy()
    assert np.isfinite(gradient).all() and gradient[0, 1] == 0
    assert float(policy.entropies(tf.constant(masked))[0]) == pytest.approx(np.log(2))


def test_other_action_spaces_are_refused():
    with pytest.raises(UserError, match="PPOAgent needs a Discrete, MultiDiscrete or Box"):
        policy_for(Seeds(0), gymnasium.spaces.MultiBinary(3), "PPOAgent")
