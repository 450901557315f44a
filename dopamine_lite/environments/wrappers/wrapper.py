"""The base class of wrappers that change observations, and the function that applies them."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.checked import checked
from dopamine_lite.environments.environment import Environment, Report, Step


@gin.configurable(module=__package__)
def wrapped_environment(
    environment: Callable[..., Environment] = gin.REQUIRED,
    wrappers: Sequence[Callable[[Environment], Environment]] = (),
    num_envs: int = 1,
    seed: int = 0,
    max_steps_per_episode: int | None = None,
    render: bool = False,
    evaluate: bool = False,
) -> Environment:
    """An environment with wrappers around it, such as `@create_environment` with `[@Crop, @Grey]`.

    All other arguments are passed on to the environment.

    Args:
      environment: the environment that is wrapped, such as `@create_environment`.
      wrappers: the wrappers in order, beginning with the innermost, such as `[@Crop, @Grey]`.
    """
    wrapped = checked(  # here, too, because a wrapper can hide wrong values
        environment(
            num_envs=num_envs,
            seed=seed,
            max_steps_per_episode=max_steps_per_episode,
            render=render,
            evaluate=evaluate,
        )
    )
    for wrapper in wrappers:
        wrapped = wrapper(wrapped)
    return wrapped


class EnvironmentWrapper(Environment):
    """An environment whose observations go through `convert`. Nothing else changes.

    Built as `wrapper(environment)` from an environment that has not been reset. The wrapper's name and
    its `settings` are added to the protocol.
    """

    def __init__(
        self, environment: Environment, space: gymnasium.Space, stack_size: int, **settings: Any
    ):
        self._environment = environment
        spec = environment.spec
        written = ", ".join(f"{name}={value}" for name, value in settings.items())
        wrappers = [*spec.protocol.get("wrappers", []), f"{type(self).__name__}({written})"]
        self.spec = dataclasses.replace(
            spec,
            observation_space=space,
            stack_size=stack_size,
            protocol=spec.protocol | {"wrappers": wrappers},
        )

    @abc.abstractmethod
    def convert(self, observations: np.ndarray) -> np.ndarray:
        """This wrapper's version of observations [N, ...], in an array that is not written to later."""

    def reset(self) -> np.ndarray:
        observations = self.convert(self._environment.reset())
        self.action_masks = self._environment.action_masks
        return observations

    def step(self, actions: np.ndarray) -> Step:
        result = self._environment.step(actions)
        self.action_masks = self._environment.action_masks
        following = observations = self.convert(result.next_observations)
        if result.observations is not result.next_observations:  # an episode has ended
            observations = self.convert(result.observations)
        return result._replace(observations=observations, next_observations=following)

    def render(self) -> np.ndarray:
        return self._environment.render()

    def report_to(self, report: Report) -> None:
        self._environment.report_to(report)

    def close(self) -> None:
        self._environment.close()


def box(environment: Environment, wrapper: str) -> gymnasium.spaces.Box:
    space = environment.spec.observation_space
    if not isinstance(space, gymnasium.spaces.Box):
        raise UserError(
            f"{wrapper} needs observations in a Box, but {environment.spec.id} has {space}: leave "
            f"{wrapper} out of wrapped_environment.wrappers."
        )
    return space
