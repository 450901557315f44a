"""Twins: a network computes in TensorFlow to learn, and its twin computes the same in NumPy to act.

A `call_numpy` belongs to the layers of its own class. A subclass may have other layers, so an inherited
`call_numpy` does not count. A network with a part without a twin acts with TensorFlow.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

_FARTHEST = 255.0  # the largest whole number in an example


def brings_twin(part: Any) -> bool:
    """Whether a torso, a head or a policy has a `call_numpy` of its own, not one of a parent class."""
    own = vars(part).get("call_numpy") or vars(type(part)).get("call_numpy")
    return own is not None


def example_observations(space: gymnasium.Space, number: int, farthest: float = 3.0) -> np.ndarray:
    """[number, ...] drawn from `space`, the same every time; real numbers are within +-`farthest`."""
    if not isinstance(space, gymnasium.spaces.Box):
        own = copy.deepcopy(space)  # a generator that nothing else draws from
        own.seed(0)
        return np.array([own.sample() for _ in range(number)])
    generator = np.random.default_rng(0)
    assert space.dtype is not None
    real = space.dtype.kind == "f"
    farthest = farthest if real else _FARTHEST
    low, high = (np.clip(end.astype(float), -farthest, farthest) for end in (space.low, space.high))
    drawn = generator.uniform(low, high if real else high + 1, (number, *space.shape))
    return (drawn if real else np.minimum(np.floor(drawn), high)).astype(space.dtype)


@contextlib.contextmanager
def telling_parameters(variables: Sequence[tf.Variable]) -> Iterator[None]:
    """In this context, no variable is constant, as biases are at first. With constant variables, a
    computation that leaves out a variable, or confuses it with another, could give the same result."""
    generator = np.random.default_rng(0)
    before = [(variable, variable.numpy()) for variable in variables]
    constant = [(variable, value) for variable, value in before if np.ptp(value) == 0]
    for variable, value in constant:
        variable.assign(value + 0.1 * generator.standard_normal(value.shape))
    try:
        yield
    finally:
        for variable, value in constant:
            variable.assign(value)


def agree(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether outputs [B, ...] of two computations are equal except for rounding in float32.

    Differences are measured relative to the largest number of each column, so a column of small numbers
    counts as much as a column of large ones. If `expected` is not finite, the answer is True.
    """
    if expected.shape != found.shape:
        return False
    if not np.isfinite(expected).all():
        return True
    sizes = np.abs(expected)
    tolerances = 1e-3 * sizes.max(axis=0) + 1e-5 * sizes.max()
    return bool((np.abs(expected - found) <= tolerances).all())


def agree_in_distribution(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether outputs [D, B, ...] that two computations drew D times have the same means and deviations.

    Within the precision of D draws: means within six standard errors, deviations within a factor of
    three.
    """
    if expected.shape != found.shape:
        return False
    if not np.isfinite(expected).all():
        return True
    least = 1e-5 * np.abs(expected).max()
    deviations = [outputs.std(axis=0).mean(axis=0) + least for outputs in (expected, found)]
    apart = np.abs(expected.mean(axis=0) - found.mean(axis=0))
    error = np.sqrt((expected.var(axis=0) + found.var(axis=0)) / len(expected)) + least
    ratio = deviations[0] / deviations[1]
    return bool((apart <= 6 * error).all() and (ratio < 3).all() and (ratio > 1 / 3).all())
