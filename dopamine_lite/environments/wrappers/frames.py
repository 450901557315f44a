"""Wrappers over several steps: differences of frames and stacks of them."""

from __future__ import annotations

from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment, Step
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper, box
from dopamine_lite.spaces.packed_space import PackedSpace, stacked


@gin.configurable(module=__package__)
class DifferenceFrame(EnvironmentWrapper):
    """The difference x_t - x_(t-1) between two observations; zeros at the start of an episode.

    As in Karpathy (2016), "Deep reinforcement learning: Pong from pixels". Differences of bytes are
    int16, and differences of other numbers are float32. The last difference of an episode is between
    its own last two observations.

    Raises:
      UserError: observations are not a `Box`, or they are stacks of frames.
    """

    def __init__(self, environment: Environment):
        space = box(environment, "DifferenceFrame")
        if environment.spec.stack_size > 1:
            raise UserError(
                f"DifferenceFrame compares single frames, but {environment.spec.id}'s observations "
                f"are stacks of {environment.spec.stack_size}: set AtariEnvironment.stack_size = 1."
            )
        self._dtype: Any = np.int16 if space.dtype == np.uint8 else np.float32
        low, high = self.convert(space.low), self.convert(space.high)
        differences = gymnasium.spaces.Box(low - high, high - low, dtype=self._dtype)
        super().__init__(environment, differences, stack_size=1)

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return observations.astype(self._dtype)

    def reset(self) -> np.ndarray:
        self._previous = super().reset()
        return np.zeros_like(self._previous)

    def step(self, actions: np.ndarray) -> Step:
        result = super().step(actions)
        following = observations = result.next_observations - self._previous
        self._previous = result.observations  # its first at an episode's beginning
        ended = result.terminated | result.truncated
        if ended.any():
            observations = following.copy()
            observations[ended] = 0
        return result._replace(observations=observations, next_observations=following)


@gin.configurable(module=__package__)
class StackFrames(EnvironmentWrapper):
    """Stacks the last `size` observations into one, [size, ...], with the newest last.

    Zeros stand for observations before an episode's first. The spec declares the stacks, so a replay
    buffer stores each frame only once.

    Args:
      environment: an environment whose observations, or their entries, are arrays of numbers. They
        cannot be names, because zero would stand for a name.
      size: the number of observations in a stack.

    Raises:
      UserError: observations are names or already stacks, or `size` is below 2.
    """

    def __init__(self, environment: Environment, size: int = 4):
        check_whole("StackFrames", least=2, most=1_000, size=size)
        spec = environment.spec
        if spec.stack_size > 1:
            raise UserError(
                f"StackFrames stacks single frames, but {spec.id}'s observations are stacks of "
                f"{spec.stack_size} already: leave it out of wrapped_environment.wrappers, or set "
                "AtariEnvironment.stack_size = 1."
            )
        super().__init__(
            environment, _stacks(spec.observation_space, size, spec.id), size, size=size
        )

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return observations

    def reset(self) -> np.ndarray:
        self._stacks = self._beginnings(super().reset())
        return self._stacks

    def step(self, actions: np.ndarray) -> Step:
        result = super().step(actions)
        newest = result.next_observations[:, None]
        following = observations = np.concatenate([self._stacks[:, 1:], newest], axis=1)
        ended = result.terminated | result.truncated
        if ended.any():
            observations = following.copy()
            observations[ended] = self._beginnings(result.observations[ended])
        self._stacks = observations
        return result._replace(observations=observations, next_observations=following)

    def _beginnings(self, observations: np.ndarray) -> np.ndarray:
        """Stacks [M, size, ...] of an episode's first observations [M, ...]."""
        shape = self.spec.observation_space.shape
        assert shape is not None
        stacks = np.zeros((len(observations), *shape), observations.dtype)
        stacks[:, -1] = observations
        return stacks


def _stacks(space: gymnasium.Space, size: int, id: str) -> gymnasium.Space:
    """The space of stacks of `size`."""
    numbers = (gymnasium.spaces.Box, gymnasium.spaces.MultiBinary)
    entries = space.entries if isinstance(space, PackedSpace) else {"": space}
    for name, entry in entries.items():
        if not isinstance(entry, numbers):
            raise UserError(
                f"StackFrames puts zeros before an episode's first observation, but those of {id} have "
                f"{entry}{f' at {name!r}' if name else ''}, whose values are names: put @Flatten before "
                "StackFrames."
            )
    if isinstance(space, PackedSpace):
        return PackedSpace(space.entries, space.owner, size)
    return stacked(space, size)
