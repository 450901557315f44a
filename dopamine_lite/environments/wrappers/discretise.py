"""Discretise, the wrapper that turns observations of numbers into the numbers of their bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.common.checks import check_number
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper, box

_AS_GOOD_AS_INFINITE = float(np.finfo(np.float32).max)  # the bound in spaces that have no bounds


@gin.configurable(module=__package__)
class Discretise(EnvironmentWrapper):
    """Replaces observations of D numbers by the number of their bin, in Discrete(product of the bins).

    All bins of a dimension have the same width. The first and the last also hold what lies outside.

    Args:
      environment: an environment whose observations are a `Box`.
      bins: the number of bins, as one number for all dimensions or a list with one for each.
      low: where the first bin begins, as one number for all dimensions or a list with one for each.
        None: at the lowest value of the observation space, which must be finite.
      high: where the last bin ends, as one number for all dimensions or a list with one for each.
        None: at the highest value of the observation space, which must be finite.

    Raises:
      UserError: observations are not a `Box`, or no such bins are possible.
    """

    def __init__(
        self,
        environment: Environment,
        bins: int | Sequence[int] = 10,
        low: float | Sequence[float | None] | None = None,
        high: float | Sequence[float | None] | None = None,
    ):
        space = box(environment, "Discretise")
        counts = _numbers_of_bins(bins, environment)
        lowest = _bounds("low", low, space.low, environment)
        highest = _bounds("high", high, space.high, environment)
        if not (lowest < highest).all():
            raise UserError(
                f"Discretise.low is {lowest.tolist()} and Discretise.high {highest.tolist()}: give "
                "every dimension a low below its high."
            )
        states = math.prod(counts)
        if states > np.iinfo(np.int64).max:
            raise UserError(
                f"Discretise.bins makes {states:.1e} states of {environment.spec.id}'s "
                f"{len(counts)} dimensions, which is more than can be numbered: use fewer bins."
            )
        super().__init__(
            environment,
            gymnasium.spaces.Discrete(states),
            stack_size=1,
            bins=counts,
            low=lowest.tolist(),
            high=highest.tolist(),
        )
        self._low = lowest
        self._last = np.array(counts) - 1.0
        self._bins_per_unit = np.array(counts) / (highest - lowest)
        self._strides = np.array([math.prod(counts[index + 1 :]) for index in range(len(counts))])

    def convert(self, observations: np.ndarray) -> np.ndarray:
        positions = (observations.reshape(len(observations), -1) - self._low) * self._bins_per_unit
        bins = np.minimum(np.maximum(positions, 0), self._last).astype(np.int64)
        return bins @ self._strides


def _numbers_of_bins(bins: int | Sequence[int], environment: Environment) -> list[int]:
    """One number for each dimension."""
    counts = _for_each_dimension("bins", bins, environment)
    if not all(isinstance(count, int) and count > 0 for count in counts):
        raise UserError(f"Discretise.bins is {bins!r}: give whole numbers, 1 or more.")
    return counts


def _bounds(
    name: str,
    given: float | Sequence[float | None] | None,
    of_space: np.ndarray,
    environment: Environment,
) -> np.ndarray:
    """[D] float64: the value `given` for each dimension, or the bounds of the space."""
    bounds = of_space.reshape(-1).astype(np.float64)
    for index, bound in enumerate(_for_each_dimension(name, given, environment)):
        if bound is not None:
            bounds[index] = bound
            check_number("Discretise", **{name: bound})
        elif not abs(bounds[index]) < _AS_GOOD_AS_INFINITE:
            raise UserError(
                f"{environment.spec.id}'s observations have no finite {name} in dimension {index} of "
                f"{len(bounds)}, counted from 0: give Discretise.{name} a number for it."
            )
    return bounds


def _for_each_dimension(name: str, value: Any, environment: Environment) -> list[Any]:
    """`value` as a list with one element for each dimension of the observations."""
    size = math.prod(environment.spec.observation_space.shape or ())
    if not isinstance(value, list | tuple):
        return [value] * size
    if len(value) != size:
        raise UserError(
            f"Discretise.{name} has {len(value)} numbers, but {environment.spec.id}'s observations "
            f"have {size}: give as many, or one for all."
        )
    return list(value)
