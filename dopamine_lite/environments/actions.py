"""Checks an agent's actions against the actions that exist."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.declared import described
from dopamine_lite.environments.environment import EnvironmentSpec


class ActionContract:
    """Checks the actions of every step.

    Args:
      spec: the environment's specification.
      agent: the name of the agent's class, for messages.
    """

    def __init__(self, spec: EnvironmentSpec, agent: str):
        self._spec = spec
        self._agent = agent
        space = spec.action_space
        self._shape = (spec.num_envs, *(space.shape or ()))
        self._is_discrete = isinstance(space, gymnasium.spaces.Discrete)
        if isinstance(space, gymnasium.spaces.Discrete):
            self._first, self._last = int(space.start), int(space.start + space.n - 1)

    def check(self, actions: Any, masks: np.ndarray | None) -> None:
        """Raises UserError unless `actions` has a legal action of the space for each environment.

        Real numbers outside the bounds of a `Box` are accepted; the environment may clip them.

        Args:
          actions: [N, ...], as `Agent.act` returned them.
          masks: [N, A] bool, the legal actions; None: all actions are legal.
        """
        if not isinstance(actions, np.ndarray) or actions.shape != self._shape:
            raise self._wrong(actions, f"return an array of shape {self._shape}")
        kind = actions.dtype.kind
        if self._is_discrete:
            if kind not in "iu":
                raise self._wrong(actions, "return integers")
            if actions.min() < self._first or actions.max() > self._last:
                outside = (actions < self._first) | (actions > self._last)
                action = actions[outside][0].item()
                raise self._wrong(action, f"return integers from {self._first} to {self._last}")
            if masks is not None:
                legal = masks[np.arange(len(actions)), actions - self._first]
                if not legal.all():
                    index = int(np.argmin(legal))
                    raise UserError(
                        f"{self._agent} chose the action {actions[index]} in environment {index}, "
                        "which is not legal there: choose one of the actions that `action_masks` "
                        "allows."
                    )
        elif kind == "f" and not np.isfinite(actions).all():
            remedy = "return finite numbers, or lower the learning rate if the agent has diverged"
            raise self._wrong(actions[~np.isfinite(actions)][0].item(), remedy)
        elif kind not in "biuf":
            raise self._wrong(actions, "return numbers")

    def _wrong(self, chosen: Any, remedy: str) -> UserError:
        return UserError(
            f"{self._agent} chose {described(chosen)}, where num_envs is {self._spec.num_envs} and the "
            f"action space is {self._spec.action_space}: {remedy}."
        )
