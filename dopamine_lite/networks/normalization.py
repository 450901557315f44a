"""Running statistics of observations and returns, and normalization with them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from dopamine_lite.common.types import State

_EPSILON = 1e-8
LIMIT = 10.0  # normalized numbers are clipped to this many standard deviations


class RunningMoments:
    """Mean and variance of all numbers so far, merged batch by batch (Chan et al. 1979)."""

    def __init__(self, shape: tuple[int, ...]):
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)
        self.count = 0

    def update(self, batch: np.ndarray) -> None:
        """Takes in a batch [M, ...]."""
        count, total = len(batch), self.count + len(batch)
        # In float32, sums of large numbers would lose the digits that tell them apart.
        mean, variance = batch.mean(axis=0, dtype=np.float64), batch.var(axis=0, dtype=np.float64)
        if not self.count:
            self.mean, self.variance = mean, variance
        else:
            distance = mean - self.mean
            squares = self.variance * self.count + variance * count
            squares += np.square(distance) * self.count * count / total
            self.mean = self.mean + distance * count / total
            self.variance = squares / total
        self.count = total

    def get_state(self) -> State:
        return {"mean": self.mean, "variance": self.variance, "count": self.count}

    def set_state(self, state: State) -> None:
        self.mean, self.variance = np.array(state["mean"]), np.array(state["variance"])
        self.count = state["count"]


class ObservationNormalizer:
    """Observations minus their running mean, over their running deviation, clipped to +-10."""

    def __init__(self, shape: tuple[int, ...]):
        self.moments = RunningMoments(shape)

    @property
    def deviation(self) -> np.ndarray:
        """The divisor of centered observations."""
        return np.sqrt(self.moments.variance + _EPSILON)

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """[..., *shape] -> [..., *shape] float32."""
        scaled = (observations - self.moments.mean) / self.deviation
        return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32)

    def in_graph(self, observations: tf.Tensor) -> tf.Tensor:
        """`__call__` in TensorFlow, with the present statistics."""
        # Whole numbers may have more digits than float32 holds.
        wide = observations.dtype.is_integer and observations.dtype.size > 2
        numbers = tf.cast(observations, tf.float64 if wide else tf.float32)
        centered = tf.cast(numbers - self.moments.mean, tf.float32)
        return tf.clip_by_value(centered / self.deviation, -LIMIT, LIMIT)


class RewardNormalizer:
    """Rewards over the running deviation of discounted returns, clipped to +-10; their mean stays.

    This is the scaling of OpenAI's baselines (VecNormalize). Engstrom et al. (2020) list it among the
    differences of PPO's code from its paper.
    """

    def __init__(self, num_envs: int, gamma: float):
        self._gamma = gamma
        self._moments = RunningMoments(())
        self._returns = np.zeros(num_envs)  # of each environment's episode so far

    def __call__(self, rewards: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Takes in rewards and episode ends [T, N] in order; returns the rewards scaled, float32."""
        returns = np.empty(rewards.shape)
        for step, (now, end) in enumerate(zip(rewards, ended, strict=True)):
            returns[step] = self._returns = self._returns * self._gamma + now
            self._returns = np.where(end, 0.0, self._returns)
        self._moments.update(returns.ravel())
        scaled = rewards / np.sqrt(self._moments.variance + _EPSILON)
        return np.clip(scaled, -LIMIT, LIMIT).astype(np.float32)

    def get_state(self) -> State:
        return {"moments": self._moments.get_state(), "returns": self._returns.copy()}

    def set_state(self, state: State) -> None:
        self._moments.set_state(state["moments"])
        self._returns = np.array(state["returns"])
