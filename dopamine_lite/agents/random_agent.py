"""The agent that learns nothing: uniformly random actions."""

from __future__ import annotations

import copy
from typing import Any

import gin
import gymnasium
import numpy as np

from dopamine_lite.agents.agent import Agent, State, Transitions
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec


@gin.configurable
class RandomAgent(Agent):
    """Takes random actions and learns nothing: a baseline to compare other agents with."""

    def __init__(self, spec: EnvironmentSpec, seeds: Seeds):
        if isinstance(spec.action_space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
            raise UserError(
                f"A RandomAgent draws one array of actions, but {spec.id} has {spec.action_space}: wrap "
                "the environment."
            )
        # One space, so one generator, for training and one for evaluation.
        self._spaces = {evaluate: copy.deepcopy(spec.action_space) for evaluate in (False, True)}
        self._spaces[False].seed(seeds.integer("train"))
        self._spaces[True].seed(seeds.integer("eval"))

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        space = self._spaces[evaluate]
        if action_masks is None:
            return np.array([space.sample() for _ in observations])
        return np.array([space.sample(mask) for mask in action_masks.astype(np.int8)])

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        pass

    def get_state(self) -> State:
        return {
            name: space.np_random.bit_generator.state
            for name, space in (("train", self._spaces[False]), ("eval", self._spaces[True]))
        }

    def set_state(self, state: State) -> None:
        self._spaces[False].np_random.bit_generator.state = state["train"]
        self._spaces[True].np_random.bit_generator.state = state["eval"]

    def describe(self) -> dict[str, Any]:
        return {"agent": "RandomAgent", "parameters": 0}
