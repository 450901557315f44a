"""The contract between the Runner and every `Environment`: N environments stepped together."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium
import numpy as np

# Takes a message for the user that is no reason to stop: its subject, and a sentence.
Report = Callable[[str, str], None]


@dataclass(frozen=True)
class EnvironmentSpec:
    """Everything about an environment that an agent needs to know when it is built.

    It comes from the environment and is never configured.

    Attributes:
      id: the environment's id, such as "CartPole-v1" or "Pong".
      observation_space: the observation space of one environment.
      action_space: the action space of one environment.
      num_envs: N, the number of environments.
      stack_size: the number of frames in one observation, along its first axis and with the oldest
        first; 1: observations are not stacked. Frames before the first of an episode are zeros.
      frame_skip: the simulator's frames in one agent step.
      max_steps_per_episode: the agent steps after which an episode is truncated; None: there is no
        limit.
      action_masks: whether some actions are illegal at times.
      protocol: how episodes are played, such as sticky actions and no-ops. It is recorded and shown
        beside every number.
      notes: sentences that a run says once, when it begins.
      action_names: the names of the actions of a Discrete space, or of the numbers of a Box; (): they
        are not known.
      first_env: the number of the first environment that the agent acts in; 0, except in a group of
        actors.
    """

    id: str
    observation_space: gymnasium.Space
    action_space: gymnasium.Space
    num_envs: int
    stack_size: int = 1
    frame_skip: int = 1
    max_steps_per_episode: int | None = None
    action_masks: bool = False
    protocol: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    first_env: int = 0


class Step(NamedTuple):
    """The result of one step of N environments. An environment whose episode ended has been reset.

    Attributes:
      observations: [N, ...] the observations to act on next. If an episode ended, this is the first
        observation of the next episode.
      rewards: [N] float64, raw.
      terminated: [N] bool.
      truncated: [N] bool. An episode that terminates at its limit is not truncated too.
      next_observations: [N, ...] the observations that the actions led to. They differ from
        `observations` only if an episode ended.
      game_over: [N] bool: the game whose score counts is over. None: it is over whenever the episode is.
        The two differ if the agent is told that a lost life ends an episode.
      next_action_masks: [N, A] bool: which actions are legal in `next_observations`; None: all are.
      final_infos: the infos of the episodes that ended, as the environment returned them, by the number
        of the environment; None: there are no infos.
    """

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    next_observations: np.ndarray
    game_over: np.ndarray | None = None
    next_action_masks: np.ndarray | None = None
    final_infos: Mapping[int, Mapping[str, Any]] | None = None

    @property
    def episode_over(self) -> np.ndarray:
        """[N] bool: true where an episode's score is complete."""
        return self.terminated | self.truncated if self.game_over is None else self.game_over


class Environment(abc.ABC):
    """N environments that are alike and are stepped together.

    It is built as `environment(num_envs=, seed=, max_steps_per_episode=, render=, evaluate=)`. With
    `evaluate` it follows the protocol of evaluation: whole games, even if a lost life ends an episode in
    training. It is made anew for every segment of a run, so its behavior must depend only on the
    constructor's arguments and on the actions. It must not write to arrays that it has returned.

    Attributes:
      spec: what an agent needs to know about it.
      action_masks: [N, A] bool: which actions are legal in the observations last returned; None: all
        are.
      checks_itself: whether it checks its return values against `spec` itself.
    """

    spec: EnvironmentSpec
    action_masks: np.ndarray | None = None
    checks_itself = False

    @abc.abstractmethod
    def reset(self) -> np.ndarray:
        """Starts every environment. It is called once, and returns observations [N, ...]."""

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> Step:
        """Takes one action in every environment, and resets those whose episodes end."""

    def render(self) -> np.ndarray:
        """The picture of the first environment, [height, width, 3] uint8. It needs `render=True`."""
        raise NotImplementedError(f"{type(self).__name__} does not draw.")

    def report_to(self, report: Report) -> None:  # noqa: B027 (most have nothing to say)
        """Sets the function for messages to the user about things noticed during steps."""

    @abc.abstractmethod
    def close(self) -> None:
        """Frees the environments' resources."""
