"""Losses and policies of numbers at the ends of float32: values and gradients stay finite."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.common.seeding import Seeds
from dopamine_lite.losses import categorical, munchausen, policy_gradient, quantile, td
from dopamine_lite.networks.policies import policy_for

LOG_RATIOS = np.array([-1e9, -1e3, -89, -60, -1, 0, 1, 60, 88, 88.7, 89, 1e3, 1e6])
ADVANTAGES = np.array([-1e3, -3, 0, 1e-30, 3, 1e3])
RATIOS = np.repeat(LOG_RATIOS, ADVANTAGES.size), np.tile(ADVANTAGES, LOG_RATIOS.size)
INFINITE = np.array([[1.0, np.inf, -np.inf], [np.inf, -2.0, np.nan]])
LOGITS = np.array([[0.0, 1e30, -1e30], [-1e9, -1e9, 5.0], [1e9, 1e9, 1e9]])
MASSES = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1 / 3, 1 / 3, 1 / 3]])
ATOMS = np.array([-1.0, 0.0, 1.0])
ERRORS = np.array([-1e18, -1.0, -1e-30, -1e-38, 0.0, 1e-38, 1e-30, 1.0, 1e18])
ILLEGAL = np.array([[1.0, -1e9, 2.0], [-1e9, -3.0, -1e9], [0.0, 0.0, 0.0]])
DEVIATIONS = np.array([[0.0, 1e6, -1e3, 1e3], [1.0, -1e6, 1e3, -1e3], [0.0, 0.0, -20.0, 20.0]])


def each_beside_each(quantiles: tf.Tensor, kappa: float) -> tf.Tensor:
    taus = tf.fill([1, ERRORS.size], 0.3)
    return quantile.quantile_huber(quantiles[None], taus, quantiles[None], kappa)


def of_policy(space: gymnasium.Space, name: str, *inputs: Any) -> tf.Tensor:
    return getattr(policy_for(Seeds(0), space, "PPOAgent"), name)(*inputs)


discrete = functools.partial(of_policy, gymnasium.spaces.Discrete(3))
box = functools.partial(of_policy, gymnasium.spaces.Box(-1, 1, (2,), np.float32))
FIRST_ACTIONS = np.zeros((3, 1), np.int32)
DRAWN = np.array([[0.0, 0.0], [1e6, -1e6], [3.0, 0.0]])

CASES: dict[str, tuple[Callable[..., tf.Tensor], tuple[Any, ...]]] = {
    "clipped surrogate": (lambda x, a: policy_gradient.clipped_surrogate(x, a, 0.2), RATIOS),
    "penalized surrogate": (
        lambda x, a: policy_gradient.kl_penalized_surrogate(x, a, 0.0 * a, 1.0),
        RATIOS,
    ),
    "ratios": (policy_gradient.ratios, (LOG_RATIOS,)),
    "value loss": (
        lambda v, r: policy_gradient.value_loss(v, r, v, 0.2),
        (np.array([1e18, -1e18, 0.0]), np.array([-1e18, 1e-30, 0.0])),
    ),
    "advantages of nothing after the end": (
        lambda r, v: policy_gradient.gae(
            r, v, v / 0.0, tf.ones([1, 3], tf.bool), tf.zeros([1, 3], tf.bool), 0.99, 0.95
        ),
        (np.ones((1, 3)), np.array([[0.0, 1.0, -1.0]])),
    ),
    **{
        f"normalized {name}": (policy_gradient.normalized, (np.array(values),))
        for name, values in {
            "zeros": [0.0] * 8,
            "tiny": [1e-30, 2e-30],
            "equal": [0.1] * 24,
            "large": [1e18, -1e18, 1e17],
        }.items()
    },
    "selected values": (lambda q: td.select(q, tf.constant([0, 1])), (INFINITE,)),
    "selected logits": (
        lambda q: categorical.select(q[:, :, None], tf.constant([0, 1])),
        (INFINITE,),
    ),
    "selected quantiles": (
        lambda q: quantile.select(q[:, None, :], tf.constant([0, 1])),
        (INFINITE,),
    ),
    "targets of nothing after the end": (
        lambda r: td.td_targets(r, tf.zeros([2]), tf.constant([np.inf, -np.inf])),
        (np.ones(2),),
    ),
    "quantiles of nothing after the end": (
        lambda r: quantile.targets(
            r, tf.zeros([2]), tf.constant(INFINITE[:, None], tf.float32), tf.constant([1, 2])
        ),
        (np.ones(2),),
    ),
    "huber": (td.huber, (np.array([-1e30, -1.0, 0.0, 1e-30, 1e30]),)),
    "squared": (td.squared, (ERRORS,)),
    **{
        f"quantile huber {kappa}": (functools.partial(each_beside_each, kappa=kappa), (ERRORS,))
        for kappa in (0.0, 1e-45, 1e-38, 1.2e-38, 1e-30, 1e-3, 1.0, 1e18)
    },
    "cross entropy": (categorical.cross_entropy, (LOGITS, MASSES)),
    "divergence": (categorical.kl_divergence, (LOGITS, MASSES)),
    "values of logits": (lambda x, z: categorical.values(x[:, None], z), (LOGITS, ATOMS)),
    "projected": (
        lambda x: categorical.targets(
            tf.constant([1e37, -3e38, 0.0]),
            tf.ones([3]),
            x[:, None],
            tf.zeros([3], tf.int32),
            tf.constant(ATOMS, tf.float32),
        ),
        (LOGITS,),
    ),
    **{
        f"log policy {temperature}": (
            functools.partial(munchausen.log_policy, temperature=temperature),
            (ILLEGAL,),
        )
        for temperature in (1.2e-38, 1e-30, 0.03, 1e30)
    },
    **{
        f"soft values {temperature}": (
            functools.partial(munchausen.soft_values, temperature=temperature),
            (ILLEGAL,),
        )
        for temperature in (1.2e-38, 1e-30, 0.03, 1e30)
    },
    "discrete probabilities": (
        lambda x: discrete("log_probabilities", x, FIRST_ACTIONS),
        (LOGITS,),
    ),
    "discrete entropies": (lambda x: discrete("entropies", x), (LOGITS,)),
    "discrete divergences": (lambda x, y: discrete("divergences", x, y), (LOGITS, LOGITS[::-1])),
    "box probabilities": (lambda x, a: box("log_probabilities", x, a), (DEVIATIONS, DRAWN)),
    "box entropies": (lambda x: box("entropies", x), (DEVIATIONS,)),
    "box divergences": (lambda x, y: box("divergences", x, y), (DEVIATIONS, DEVIATIONS[::-1])),
}


def values_and_gradients(
    function: Callable[..., tf.Tensor], *inputs: tf.Tensor
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = function(*inputs)
    zero = tf.UnconnectedGradients.ZERO
    return values, tape.gradient(values, inputs, unconnected_gradients=zero)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_finite(name, compiled):
    """Often wrong: zero times infinity where a number too large or small meets what leaves it out."""
    function, inputs = CASES[name]
    call = functools.partial(values_and_gradients, function)
    if compiled:
        call = tf.function(call, jit_compile=True, autograph=False)
    values, gradients = call(*[tf.constant(numbers, tf.float32) for numbers in inputs])
    for found in (values, *gradients):
        assert np.isfinite(found).all(), (values, gradients)


def test_ratios_are_those_of_exp_up_to_sixty_and_its_tangent_beyond():
    log_ratios = tf.constant([-1e3, -80.0, -1.0, 0.0, 0.3, 59.0, 60.0])
    for function in (tf.exp, policy_gradient.ratios):
        values, (slopes,) = values_and_gradients(function, log_ratios)
        np.testing.assert_array_equal(values, tf.exp(log_ratios))
        np.testing.assert_array_equal(slopes, values)
    values, (slopes,) = values_and_gradients(policy_gradient.ratios, tf.constant([61.0, 70.0]))
    np.testing.assert_allclose(values, np.exp(60.0) * np.array([2, 11]), rtol=1e-5)
    np.testing.assert_allclose(slopes, np.exp([60.0, 60.0]), rtol=1e-5)


@pytest.mark.parametrize("kappa", [1e-45, 1e-38, 1e-30, 1e-12])
def test_huber_of_a_small_kappa_is_quantile_regression(kappa):
    quantiles, taus = tf.constant([[0.5, -2.0]]), tf.constant([[0.2, 0.7]])
    targets = tf.constant([[1.0, 0.5, -3.0]])
    calls = [lambda x, k=k: quantile.quantile_huber(x, taus, targets, k) for k in (kappa, 0.0)]
    (small, (slopes,)), (plain, (expected,)) = (
        values_and_gradients(call, quantiles) for call in calls
    )
    np.testing.assert_allclose(small, plain, rtol=1e-6)
    np.testing.assert_allclose(slopes, expected, rtol=1e-6)


WAYS: dict[str, Callable[..., Any]] = {
    "eager": lambda function: function,
    "graph": tf.function,
    "xla": functools.partial(tf.function, jit_compile=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_equal_advantages_are_normalized_to_rounding_of_one_at_most(way):
    """Often wrong: rounding over 1e-8, as two expressions made it of (A - mean) / (std + 1e-8)."""
    normalized = WAYS[way](policy_gradient.normalized)
    for value in (0.1, -33.3, 99.7, 12345.6):
        for size in (2, 24, 64, 100):
            found = normalized(tf.fill([size], value)).numpy()
            assert np.abs(found).max() <= 1, (value, size, found)


@pytest.mark.parametrize("way", WAYS)
def test_advantages_are_normalized(way):
    advantages = np.random.default_rng(0).normal(3.0, 2.0, 64).astype(np.float32)
    expected = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    found = WAYS[way](policy_gradient.normalized)(tf.constant(advantages))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
