"""The loop that all play uses: an agent acts, the environments step, the agent learns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol

import numpy as np

from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.collecting.steps import MOST_STEPS, Steps, transitions_of
from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.actions import ActionContract
from dopamine_lite.environments.environment import Environment
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics


class Tick(NamedTuple):
    """One step of N environments."""

    number: int  # from 1
    observations: np.ndarray  # [N, ...] the observations that the agent acted on
    action_masks: np.ndarray | None  # [N, A] bool; None: all actions were legal
    actions: np.ndarray  # [N, ...]
    rewards: np.ndarray  # [N] float64, raw
    finished: list[EpisodeRecord]  # the episodes that ended with the step


class Player(Protocol):
    """The contract between the loop and an agent's way to play."""

    def act(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        """The agent's actions [N, ...]."""

    def add(
        self, transitions: Transitions, observations: np.ndarray, masks: np.ndarray | None
    ) -> None:
        """Takes the result of the last `act`, and the observations for the next."""

    def flush(self) -> None:
        """Gives the agent everything that was added and not passed on yet."""


class StepByStep:
    """Gives an agent with the five methods every step as soon as it is taken.

    Args:
      agent: the agent.
      evaluate: whether the agent follows its evaluation policy and learns nothing.
    """

    def __init__(self, agent: Agent, evaluate: bool):
        self._agent = agent
        self._evaluate = evaluate

    def act(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        return self._agent.act(observations, self._evaluate, masks)

    def add(
        self, transitions: Transitions, observations: np.ndarray, masks: np.ndarray | None
    ) -> None:
        self._agent.observe(transitions, self._evaluate)
        if not self._evaluate:
            lap("update")

    def flush(self) -> None:
        pass


class BlockByBlock:
    """Collects the steps of an agent's actor, and lets the agent learn from them, block by block.

    Args:
      agent: the agent.
    """

    def __init__(self, agent: BlockAgent):
        self._agent = agent
        self._actor = agent.actor
        self._steps = Steps()
        self._length = block_length(self._agent)

    def act(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        return self._steps.acted(self._actor.act(observations, False, masks))

    def add(
        self, transitions: Transitions, observations: np.ndarray, masks: np.ndarray | None
    ) -> None:
        ended = self._steps.add(transitions, observations, masks)
        lap("store")
        if len(self._steps) == self._length or (self._agent.blocks_end_with_episodes and ended):
            self.flush()

    def flush(self) -> None:
        if not len(self._steps):
            return
        block = self._steps.take()
        lap("store")
        self._agent.learn(block)
        self._length = block_length(self._agent)
        lap("update")


def block_length(agent: BlockAgent) -> int:
    """The steps of each environment in the agent's next block.

    Raises:
      UserError: `agent.block_length` is not a whole number above 0, or None.
    """
    wanted = agent.block_length
    if type(wanted) is not int or wanted < 1:
        check_whole(type(agent).__name__, optional=True, block_length=wanted)
    return MOST_STEPS if wanted is None else min(wanted, MOST_STEPS)


def learns_from_blocks(agent: Agent) -> bool:
    """Whether an agent learns from blocks and does nothing else in a step."""
    kind = type(agent)
    own = (kind.act, kind.observe)
    return isinstance(agent, BlockAgent) and own == (BlockAgent.act, BlockAgent.observe)


def player_for(agent: Agent, evaluate: bool = False) -> Player:
    """The way to play with `agent`: in blocks if it `learns_from_blocks`, otherwise step by step."""
    if evaluate or not learns_from_blocks(agent):
        return StepByStep(agent, evaluate)
    assert isinstance(agent, BlockAgent)
    return BlockByBlock(agent)


def play(
    environment: Environment,
    player: Player,
    statistics: IterationStatistics,
    is_last: Callable[[int, list[EpisodeRecord]], bool],
    *,
    agent: str,
    clip_rewards: bool = False,
) -> Iterator[Tick]:
    """Steps agent and environments; yields each step once the player has taken its result.

    Args:
      environment: the environments, not yet reset.
      player: the agent's way to play.
      statistics: takes the rewards and the ends of episodes.
      is_last: called with the number of the step, from 1, and the episodes that the step finished;
        returns whether the loop ends with this step. The last step truncates every episode that is still
        in flight, so the agent has none left.
      agent: the name of the agent's class, for messages.
      clip_rewards: whether the agent gets rewards clipped to [-1, 1].
    """
    observations, masks = environment.reset(), environment.action_masks
    lap("environment")
    statistics.begin_segment(len(observations))
    act, add, step = player.act, player.add, environment.step
    check = ActionContract(environment.spec, agent).check
    for number in itertools.count(1):
        lap("other")
        actions = act(observations, masks)
        check(actions, masks)
        lap("act")
        result = step(actions)
        lap("environment")
        finished = statistics.step(result.rewards, result.episode_over, result.final_infos)
        last = is_last(number, finished)
        if last:
            result = result._replace(truncated=~result.terminated)
        acted_on, acted_masks = observations, masks
        observations, masks = result.observations, environment.action_masks
        shown = transitions_of(acted_on, acted_masks, actions, result, clip_rewards)
        lap("other")
        add(shown, observations, masks)
        if last:
            player.flush()
        yield Tick(number, acted_on, acted_masks, actions, result.rewards, finished)
        if last:
            break
    statistics.end_segment()
