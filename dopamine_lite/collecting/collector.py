"""One group of environments and the actor that steps them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from dopamine_lite.agents.agent import Agent
from dopamine_lite.collecting.shares import Counted, Shares
from dopamine_lite.collecting.steps import Steps, transitions_of
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.types import State
from dopamine_lite.environments.actions import ActionContract
from dopamine_lite.environments.checked import introduced
from dopamine_lite.environments.environment import Environment, EnvironmentSpec
from dopamine_lite.replay.block import Block
from dopamine_lite.reporting.info_metrics import InfoMetrics
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics


class Group(NamedTuple):
    """Environments that are stepped together: the unit of inference and of seeds."""

    number: int  # from 0
    first: int  # the number of its first environment
    size: int  # n, the number of its environments

    @classmethod
    def all_of(cls, num_envs: int, size: int) -> list[Group]:
        """N environments in groups of `size`; the last group may be smaller."""
        starts = range(0, num_envs, size)
        return [
            cls(number, first, min(size, num_envs - first)) for number, first in enumerate(starts)
        ]


@dataclass(frozen=True)
class Recipe:
    """Everything needed to act in the environments of an experiment, in any process."""

    make_agent: Callable[..., Agent]  # called with (spec, seeds)
    make_environment: Callable[..., Environment]  # called as `Runner.environment`
    spec: EnvironmentSpec  # of all N environments
    seed: int  # of the run
    max_steps_per_episode: int | None
    clip_rewards: bool
    info_metrics: tuple[str, ...]  # as `Runner.info_metrics`
    configured: Callable[[], AbstractContextManager[None]]  # the configuration is in force in it


class Begin(NamedTuple):
    """The beginning of a segment in one group."""

    seed: int  # of its environments
    state: State | None  # of its actor; None: a new actor's state
    # [T, n, ...] each: the actions that the group has taken in this segment, if it is resumed.
    taken: Sequence[np.ndarray] = ()


class Order(NamedTuple):
    """A request to collect a block."""

    parameters: Any  # for `Actor.load`
    steps: int  # T, of each environment
    is_last: bool  # whether the last step truncates the episodes in flight
    wants_metrics: bool


class Evaluation(NamedTuple):
    """A request to play episodes with the evaluation policy."""

    parameters: Any  # for `Actor.load`
    seed: int  # of the evaluation; each group derives its own
    shares: Shares  # of all environments


class Evaluated(NamedTuple):
    """The result of a group's share of an evaluation."""

    # For each episode, the number of its last step, and its record, which numbers the environment among
    # all environments.
    records: list[tuple[int, EpisodeRecord]]
    state: State  # of the actor
    said: list[tuple[str, str]]  # topics and sentences for the user


class Collected(NamedTuple):
    """The result of T steps in a group's n environments."""

    block: Block
    rewards: np.ndarray  # [T, n] float64, raw
    episode_over: np.ndarray  # [T, n] bool, true where an episode's score is complete
    infos: Mapping[
        int, Mapping[int, Mapping[str, Any]]
    ]  # by step, for the episodes that ended with that step
    state: State  # of the actor
    metrics: dict[str, float | np.ndarray]  # of the actor, if they were requested
    said: list[tuple[str, str]]  # topics and sentences for the user


class Collector:
    """Steps one group of environments with an actor of its own.

    The environments are made anew for every segment. The collected steps depend on the seeds of the run
    and of the segment, on the parameters for each block, and on nothing else.

    Args:
      recipe: makes the environments and the agent, of which only the actor is used.
      group: the group.
    """

    def __init__(self, recipe: Recipe, group: Group):
        self._recipe = recipe
        self._group = group
        seeds = Seeds(recipe.seed).child("agent", "group", group.number)
        with recipe.configured():
            agent: Any = recipe.make_agent(replace(recipe.spec, first_env=group.first), seeds)
        self._actor = agent.actor
        self._name = type(agent).__name__
        self._environment: Environment | None = None
        self._prepared: Environment | None = None
        self._said: list[tuple[str, str]] = []

    def begin(self, begin: Begin) -> np.ndarray:
        """Makes the environments anew; returns the observations [n, ...] for the next action."""
        self.close()
        self._environment = environment = self._made(self._group.size, begin.seed, evaluate=False)
        self._check = ActionContract(environment.spec, self._name).check
        self._observations = environment.reset()
        for actions in itertools.chain.from_iterable(begin.taken):
            self._observations = environment.step(actions).observations
        if begin.state is not None:
            self._actor.set_state(begin.state)
        return self._observations

    def _made(self, num_envs: int, seed: int, evaluate: bool) -> Environment:
        with self._recipe.configured():
            made = self._recipe.make_environment(
                num_envs=num_envs,
                seed=seed,
                max_steps_per_episode=self._recipe.max_steps_per_episode,
                render=False,
                evaluate=evaluate,
            )
        return introduced(made, num_envs, self.say)

    def say(self, topic: str, sentence: str) -> None:
        """Keeps a sentence for the user, to be returned with the next result."""
        self._said.append((topic, sentence))

    def collect(self, order: Order) -> Collected:
        """Takes the steps of a block."""
        environment, actor, steps = self._environment, self._actor, Steps()
        assert environment is not None
        actor.load(order.parameters)
        before = getattr(actor, "steps", None)
        rewards, over, infos = [], [], {}
        observations, masks = self._observations, environment.action_masks
        for number in range(order.steps):
            actions = steps.acted(actor.act(observations, False, masks))
            self._check(actions, masks)
            result = environment.step(actions)
            rewards.append(np.array(result.rewards))
            over.append(np.array(result.episode_over))
            if result.final_infos and self._recipe.info_metrics:
                infos[number] = self._asked_for(result.final_infos)
            if order.is_last and number == order.steps - 1:
                result = result._replace(truncated=~result.terminated)
            done = transitions_of(observations, masks, actions, result, self._recipe.clip_rewards)
            observations, masks = result.observations, environment.action_masks
            steps.add(done, observations, masks)
        self._observations = observations
        self._require_count(before, order.steps)
        said, self._said = self._said, []
        return Collected(
            steps.take(),
            np.array(rewards),
            np.array(over),
            infos,
            actor.get_state(),
            actor.metrics() if order.wants_metrics else {},
            said,
        )

    def _asked_for(self, infos: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
        """The infos, with only the values that are logged. Others might not survive the transport."""
        names = self._recipe.info_metrics
        return {
            index: {str(key): info[key] if key in names else None for key in info}
            for index, info in infos.items()
        }

    def prepare(self, evaluation: Evaluation) -> None:
        """Makes the environments of an evaluation."""
        group = self._group
        shares = evaluation.shares.part(group.first, group.size)
        if shares.num_envs:
            seed = Seeds(evaluation.seed).integer("group", group.number)
            self._prepared = self._made(shares.num_envs, seed, evaluate=True)

    def evaluate(self, evaluation: Evaluation) -> Evaluated:
        """Plays this group's share of an evaluation, which may be empty."""
        group, actor = self._group, self._actor
        if self._prepared is None:
            self.prepare(evaluation)
        prepared, self._prepared = self._prepared, None
        records: list[tuple[int, EpisodeRecord]] = []
        if prepared is not None:
            with contextlib.closing(prepared):
                actor.load(evaluation.parameters)
                shares = evaluation.shares.part(group.first, group.size)
                records = self._played(prepared, shares)
        own = [
            (tick, each._replace(environment=group.first + each.environment))
            for tick, each in records
        ]
        said, self._said = self._said, []
        return Evaluated(own, actor.get_state(), said)

    def _played(self, environment: Environment, shares: Shares) -> list[tuple[int, EpisodeRecord]]:
        infos = InfoMetrics(self._recipe.info_metrics, environment.spec.id, self.say)
        statistics = IterationStatistics(infos)
        counted = Counted(shares, statistics, environment.spec.id)
        check = ActionContract(environment.spec, self._name).check
        observations, masks = environment.reset(), environment.action_masks
        statistics.begin_segment(shares.num_envs)
        for tick in itertools.count(1):
            actions = self._actor.act(observations, True, masks).actions
            check(actions, masks)
            step = environment.step(actions)
            finished = statistics.step(step.rewards, step.episode_over, step.final_infos)
            if counted.is_last(tick, finished):
                break
            observations, masks = step.observations, environment.action_masks
        return counted.records

    def _require_count(self, before: Any, steps: int) -> None:
        """Raises UserError if the actor counts only the steps of its group.

        Numbers that depend on the count, such as epsilon, would then change too slowly.
        """
        after, expected = getattr(self._actor, "steps", None), steps * self._recipe.spec.num_envs
        if isinstance(before, int) and isinstance(after, int) and after - before != expected:
            name = type(self._actor).__name__
            raise UserError(
                f"{name}.steps grew by {after - before} in {steps} steps of "
                f"{self._recipe.spec.num_envs} environments, which is not {expected}: let `act` add "
                "the number of all environments, `spec.num_envs`, however many it acts for "
                "(docs/how_to/parallel_actors.md)."
            )

    def close(self) -> None:
        """Frees the environments' resources."""
        for environment in (self._environment, self._prepared):
            if environment is not None:
                environment.close()
        self._environment = self._prepared = None


class Station:
    """The collectors of some groups, in one place.

    Args:
      recipe: makes their parts.
      groups: the groups.
      compare: called once the first environments are made; returns sentences for the user.
    """

    def __init__(
        self,
        recipe: Recipe,
        groups: Sequence[Group],
        compare: Callable[[], list[str]] = list,
    ):
        self._collectors = [Collector(recipe, group) for group in groups]
        self._compare: Callable[[], list[str]] | None = compare

    def begin(self, begins: Sequence[Begin]) -> list[np.ndarray]:
        """`Collector.begin` of each."""
        found = [
            collector.begin(begin)
            for collector, begin in zip(self._collectors, begins, strict=True)
        ]
        if self._compare is not None:  # now every module is imported
            for sentence in self._compare():
                self._collectors[0].say(sentence, sentence)
            self._compare = None
        return found

    def collect(self, order: Order) -> list[Collected]:
        """`Collector.collect` of each."""
        return [collector.collect(order) for collector in self._collectors]

    def prepare(self, evaluation: Evaluation) -> None:
        """`Collector.prepare` of each."""
        for collector in self._collectors:
            collector.prepare(evaluation)

    def evaluate(self, evaluation: Evaluation) -> list[Evaluated]:
        """`Collector.evaluate` of each."""
        return [collector.evaluate(evaluation) for collector in self._collectors]

    def close(self) -> None:
        for collector in self._collectors:
            collector.close()
