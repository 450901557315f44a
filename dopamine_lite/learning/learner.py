"""The learner: one of an agent's three organs. It turns samples into parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np
import tensorflow as tf

from dopamine_lite.common.types import State

Parameters = TypeVar("Parameters", covariant=True)
Sample = TypeVar("Sample", contravariant=True)


class Learned(NamedTuple, Generic[Parameters]):
    """What a learner returns for a sample."""

    parameters: Parameters  # for the actor's `load`
    metrics: tf.Tensor  # [M] the numbers that the learner's `metric_names` name
    priorities: tf.Tensor | None = None  # [K, B] of the sample's transitions; None: there are none


class Learner(Protocol[Sample, Parameters]):
    """Learns from samples, each in one compiled call, without a replay, environment or loop."""

    metric_names: Sequence[str]

    def learn(self, sample: Sample) -> Learned[Parameters]:
        """Takes the gradient steps for a sample, whose kind is the learner's own."""

    def get_state(self) -> State:
        """Everything, apart from the sample, that determines the result of the next `learn`."""

    def set_state(self, state: State) -> None:
        """Puts this learner into `state`, which `get_state` returned."""


class RecentMeans:
    """The means of several metrics since the last call of `take`.

    Args:
      names: the metrics.
    """

    def __init__(self, names: Sequence[str]):
        self._names = tuple(names)
        self._recent: list[tf.Tensor | np.ndarray] = []

    def add(self, values: tf.Tensor | np.ndarray) -> None:
        """Adds one value for each name, [M] float32."""
        self._recent.append(values)  # `take` turns them into numbers

    def take(self) -> dict[str, float]:
        """Returns the means by name, or {} if nothing was added, and forgets what was added."""
        if not self._recent:
            return {}
        means = np.mean([np.asarray(values) for values in self._recent], axis=0).tolist()
        self._recent.clear()
        return dict(zip(self._names, means, strict=True))
