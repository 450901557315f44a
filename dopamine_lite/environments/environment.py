"""The contract between the Runner and every `Environment`: N environments stepped together."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium
import numpy as np

# Takes what the user should know and need not stop for: what it is about, and a sentence.
Report = Callable[[str, str], None]


@dataclass(frozen=True)
class EnvironmentSpec:
    """What an agent needs to know when it is built. Inferred from the environment, never configured."""

    id: str  # "CartPole-v1", "Pong"
    observation_space: gymnasium.Space  # of one environment
    action_space: gymnasium.Space  # of one environment
    num_envs: int  # N, the number of environments
    # Number of single frames in one observation (its first axis), oldest first; 1: not stacked.
    # Frames before an episode's first are zeros.
    stack_size: int = 1
    frame_skip: int = 1  # simulator frames in one agent step
    max_steps_per_episode: int | None = None  # in agent steps
    action_masks: bool = False  # whether some actions are illegal at times
    # How episodes are played, printed beside every number: sticky actions, no-ops, life loss ...
    protocol: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # sentences that are said once, when a run begins
    # What the actions of a Discrete space, or the numbers of a Box, are called; (): nothing known.
    action_names: tuple[str, ...] = ()


class Step(NamedTuple):
    """What one step of N environments returned, with same-step autoreset."""

    observations: np.ndarray  # [N, ...] to act on next: a new episode's first where one has ended
    rewards: np.ndarray  # [N] float64, raw
    terminated: np.ndarray  # [N] bool
    truncated: np.ndarray  # [N] bool; an episode that terminates at its limit is not truncated too
    next_observations: np.ndarray  # [N, ...] the true successors; differs where an episode ended
    # [N] bool: the game whose score counts is over. None: where terminated | truncated. Differs where
    # the agent is told that a lost life is the end.
    game_over: np.ndarray | None = None
    # [N, A] bool: which actions are legal in next_observations, if spec says that some are not.
    next_action_masks: np.ndarray | None = None
    # By environment, the infos of those whose episodes ended with this step, as they returned them;
    # None: there are no infos.
    final_infos: Mapping[int, Mapping[str, Any]] | None = None

    @property
    def episode_over(self) -> np.ndarray:
        """[N] bool: where an episode's score is complete."""
        return self.terminated | self.truncated if self.game_over is None else self.game_over


class Environment(abc.ABC):
    """N environments that are alike, stepped together and used once.

    Built as `environment(num_envs=, seed=, max_steps_per_episode=, render=, evaluate=)`. With
    `evaluate` it follows the protocol of evaluation (whole games, even if a lost life ends an episode
    in training). It is made anew for every segment of a run, so its behavior must depend only on the
    constructor's arguments and the actions. It must not write to arrays that it has returned.
    """

    spec: EnvironmentSpec
    # [N, A] bool: which actions are legal in the observations last returned; None: all of them.
    action_masks: np.ndarray | None = None
    checks_itself = False  # whether what it returns is held against `spec` where it is made

    @abc.abstractmethod
    def reset(self) -> np.ndarray:
        """Starts every environment; called once. Returns observations [N, ...]."""

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> Step:
        """Takes one action in every environment. One whose episode ends is reset in the same step."""

    def render(self) -> np.ndarray:
        """The first environment's picture, [height, width, 3] uint8, if built with `render=True`."""
        raise NotImplementedError(f"{type(self).__name__} does not draw.")

    def report_to(self, report: Report) -> None:  # noqa: B027 (most have nothing to say)
        """Sets the function to call with what the user should know and is noticed during steps."""

    @abc.abstractmethod
    def close(self) -> None:
        """Frees what the environments hold."""
