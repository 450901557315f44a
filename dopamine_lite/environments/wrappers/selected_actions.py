"""SelectActions, the wrapper that leaves an agent some of an environment's actions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.wrappers.wrapper import EnvironmentWrapper


@gin.configurable(module=__package__)
class SelectActions(EnvironmentWrapper):
    """Leaves the agent only these of the environment's actions. It counts them from 0, in this order.

    Karpathy (2016), "Deep reinforcement learning: Pong from pixels", played with two of Pong's six
    actions: `SelectActions.actions = ("right", "left")`.

    Args:
      environment: an environment whose action space is `Discrete`.
      actions: at least two different actions, each by its number or, where actions have names, by its
        name. `check-environment` shows the names.

    Raises:
      UserError: the environment's actions are not discrete, or these are not some of them.
    """

    def __init__(self, environment: Environment, actions: Sequence[int | str] = gin.REQUIRED):
        spec = environment.spec
        space = spec.action_space
        if not isinstance(space, gymnasium.spaces.Discrete):
            raise UserError(
                f"SelectActions needs a Discrete action space, but {spec.id} has {space}: leave "
                "SelectActions out of wrapped_environment.wrappers."
            )
        if isinstance(actions, str) or not isinstance(actions, Sequence):
            raise UserError(
                f"SelectActions.actions is {described(actions)}: it must be a list of actions."
            )
        first = int(space.start)
        columns = [_column(action, space, spec) for action in actions]
        if len(columns) < 2 or len(set(columns)) < len(columns):
            raise UserError(
                f"SelectActions.actions is {list(actions)!r}: it must have at least two actions, and "
                "none of them twice."
            )
        super().__init__(
            environment, spec.observation_space, spec.stack_size, actions=list(actions)
        )
        names = spec.action_names
        self.spec = dataclasses.replace(
            self.spec,
            action_space=gymnasium.spaces.Discrete(len(columns)),
            action_names=tuple(names[column] for column in columns) if names else (),
        )
        self._columns = np.array(columns)  # of the environment's masks
        self._actions = self._columns + first

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return observations

    def reset(self) -> np.ndarray:
        observations = super().reset()
        self.action_masks = self._selected(self.action_masks)
        return observations

    def step(self, actions: np.ndarray) -> Step:
        result = super().step(self._actions[actions])
        self.action_masks = self._selected(self.action_masks)
        return result._replace(next_action_masks=self._selected(result.next_action_masks))

    def _selected(self, masks: np.ndarray | None) -> np.ndarray | None:
        return None if masks is None else masks[:, self._columns]


def _column(action: Any, space: gymnasium.spaces.Discrete, spec: EnvironmentSpec) -> int:
    """The place of `action`, a number or a name, among the environment's actions."""
    if isinstance(action, str) and action in spec.action_names:
        return spec.action_names.index(action)
    is_number = isinstance(action, int) and not isinstance(action, bool)
    if is_number and action in space:
        return int(action) - int(space.start)
    last = int(space.start + space.n) - 1
    named = f", with the names {', '.join(spec.action_names)}" if spec.action_names else ""
    raise UserError(
        f"SelectActions.actions has {action!r}, but the actions of {spec.id} are {int(space.start)} to "
        f"{last}{named}."
    )
