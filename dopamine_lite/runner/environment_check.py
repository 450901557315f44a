"""Checks whether an environment follows the rules: random play with a full check of every step."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.actions import ActionContract
from dopamine_lite.environments.checked import CheckedEnvironment, introduced, limit_not_held
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.gymnasium_environment import (
    GymnasiumEnvironment,
    make_single_environment,
)
from dopamine_lite.environments.single_environment import SingleEnvironment
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics

Digests = dict[str, bytes]  # of a step's return values, by name


@dataclass
class Played:
    """The result of random play.

    Attributes:
      episodes: the episodes that ended.
      trace: digests of the return values of the reset and of each step after it.
      lowest: the lowest reward of a step.
      highest: the highest reward of a step.
      legal: the mean share of the actions that were legal.
      seconds: the time that the environment took for its steps.
    """

    spec: EnvironmentSpec
    episodes: list[EpisodeRecord] = field(default_factory=list)
    trace: list[Digests] = field(default_factory=list)
    lowest: float = float("inf")
    highest: float = float("-inf")
    legal: float = 1.0
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Agent steps, over all environments."""
        return (len(self.trace) - 1) * self.spec.num_envs


@dataclass(frozen=True)
class Alone:
    """The behavior of a Gymnasium environment without this package around it.

    Attributes:
      repeats: whether `reset(seed=...)` begins the same episode again after the environment was played.
      rewritten: the first step that changed the observation returned before it; None if none did.
    """

    repeats: bool
    rewritten: int | None


class EnvironmentCheck:
    """One environment, played again and again.

    Args:
      make: makes the environment; called like `Runner.environment`.
      num_envs: N, the number of environments.
      steps: agent steps of each play, over all environments.
      seed: the environment's seed; a separate generator draws the actions.
      max_steps_per_episode: the limit that `Runner` would request.

    Attributes:
      warnings: sentences on problems, found so far, that a run would warn of or suffer from.
    """

    def __init__(
        self,
        make: Callable[..., Environment],
        num_envs: int,
        steps: int,
        seed: int,
        max_steps_per_episode: int | None = None,
    ):
        self._make = make
        self._num_envs = num_envs
        self._ticks = -(-steps // num_envs)
        self._seed = seed
        self._limit = max_steps_per_episode
        self._said: set[str] = set()
        self.warnings: list[str] = []

    def spec(self) -> EnvironmentSpec:
        """The environment's specification. Raises UserError if it cannot be made or reset."""
        with self._environment() as environment:
            environment.reset()
            return environment.spec

    def play(self) -> Played:
        """Plays at random, with legal actions, and checks every step in full.

        Raises:
          UserError: a return value of the environment is not as declared. A run raises the same error.
        """
        with self._environment() as environment:
            played = self._played(CheckedEnvironment(environment, exact_steps=self._ticks + 1))
        if not played.episodes and played.spec.max_steps_per_episode is None:
            self.warnings.append(
                f"No episode of {played.spec.id} ended in {played.steps:,} steps, and nothing limits "
                "their length: set Runner.max_steps_per_episode, or an evaluation may never end."
            )
        return played

    def again(self) -> Played:
        """Repeats the play in a new environment, as a resumed run does, and times it as in a run."""
        with self._environment() as environment:
            return self._played(environment)

    def other_seed(self) -> Played:
        """Plays the same actions, if they are legal, in an environment with another seed."""
        with self._environment(seed=self._seed + 1) as environment:
            return self._played(environment)

    def equal_environments(self) -> tuple[int, int] | None:
        """Two environments that always show the same if given the same actions; None if there are none.

        Raises:
          Exception: an error that only a second environment causes.
        """
        size = max(self._num_envs, 2)
        with self._environment(num_envs=size) as environment:
            spec = environment.spec
            space = copy.deepcopy(spec.action_space)
            space.seed(self._seed)
            seen = [_rows(environment.reset())]
            for _ in range(self._ticks):
                mask = _legal_in_all(environment.action_masks)
                if mask is not None and not mask.any():
                    break
                action = space.sample() if mask is None else space.sample(mask)
                step = environment.step(np.array([action] * size))
                rows = _rows(step.next_observations)
                seen.append(
                    [row + bytes(part) for row, part in zip(rows, step.rewards, strict=True)]
                )
        shown = [b"".join(digests) for digests in zip(*seen, strict=True)]
        for second, digests in enumerate(shown):
            if (first := shown.index(digests)) < second:
                return first, second
        return None

    def picture(self) -> tuple[int, ...]:
        """The shape of its pictures. Raises UserError, as `record` does, if it draws none."""
        with self._environment(num_envs=1, render=True) as environment:
            environment.reset()
            return environment.render().shape

    def alone(self) -> Alone | None:
        """Plays a Gymnasium environment as it is, twice; None for any other environment."""
        with self._environment(num_envs=1) as environment:
            spec = environment.spec
            if not isinstance(environment, GymnasiumEnvironment):
                return None
        single = make_single_environment(spec.id, spec.protocol.get("kwargs"))
        with contextlib.closing(single):
            first, rewritten = self._episode(single, spec)
            again, _ = self._episode(single, spec)
        return Alone(first == again, rewritten)

    def _episode(
        self, environment: SingleEnvironment, spec: EnvironmentSpec
    ) -> tuple[list[bytes], int | None]:
        """Digests of an episode, or of its steps up to a limit; see `Alone`."""
        space = copy.deepcopy(spec.action_space)
        space.seed(self._seed)
        observation, mask = environment.reset(seed=self._seed)
        digests, rewritten = [_digest(observation)], None
        for number in range(1, self._ticks + 1):
            action = space.sample() if mask is None else space.sample(mask.astype(np.int8))
            following, _, terminated, truncated, mask = environment.step(action)
            if rewritten is None and _digest(observation) != digests[-1]:
                rewritten = number
            observation = following
            digests.append(_digest(observation))
            if terminated or truncated:
                break
        return digests, rewritten

    @contextlib.contextmanager
    def _environment(
        self, seed: int | None = None, num_envs: int | None = None, render: bool = False
    ) -> Iterator[Environment]:
        size = self._num_envs if num_envs is None else num_envs
        made = self._make(
            num_envs=size,
            seed=self._seed if seed is None else seed,
            max_steps_per_episode=self._limit,
            render=render,
            evaluate=False,
        )
        with contextlib.closing(introduced(made, size, self._warn)) as environment:
            if sentence := limit_not_held(environment.spec, self._limit):
                raise UserError(sentence)
            yield environment

    def _warn(self, about: str, sentence: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self.warnings.append(sentence)

    def _played(self, environment: Environment) -> Played:
        spec = environment.spec
        agent = RandomAgent(spec, Seeds(self._seed).child("actions"))
        check = ActionContract(spec, "The random play").check
        statistics, played, shares = IterationStatistics(), Played(spec), []
        observations, masks = environment.reset(), environment.action_masks
        statistics.begin_segment(spec.num_envs)
        played.trace.append(_digests(observations, masks))
        for _ in range(self._ticks):
            actions = agent.act(observations, action_masks=masks)
            check(actions, masks)
            start = time.perf_counter()
            step = environment.step(actions)
            played.seconds += time.perf_counter() - start
            observations, masks = step.observations, environment.action_masks
            played.episodes += statistics.step(step.rewards, step.episode_over)
            played.lowest = min(played.lowest, float(step.rewards.min()))
            played.highest = max(played.highest, float(step.rewards.max()))
            shares.append(1.0 if masks is None else float(masks.mean()))
            played.trace.append(_digests(observations, masks, step))
        played.legal = float(np.mean(shares))
        return played


def first_difference(one: Played, other: Played) -> tuple[int, str] | None:
    """The first step (0: the reset) in which two plays differ, and what differs; None if they agree."""
    for number, pair in enumerate(zip(one.trace, other.trace, strict=True)):
        for name in pair[0]:
            if pair[0][name] != pair[1].get(name):
                return number, name
    return None


def _digests(
    observations: np.ndarray, masks: np.ndarray | None, step: Step | None = None
) -> Digests:
    digests = {"observations": _digest(observations), "action masks": _digest(masks)}
    if step is not None:
        digests |= {
            "observations": _digest(step.next_observations, observations),
            "rewards": _digest(step.rewards),
            "ends": _digest(step.terminated, step.truncated),
        }
    return digests


def _digest(*values: Any) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for value in values:
        content.update(np.ascontiguousarray(value).tobytes() if value is not None else b"-")
    return content.digest()


def _rows(observations: np.ndarray) -> list[bytes]:
    """A digest of each environment's observation."""
    return [_digest(row) for row in observations]


def _legal_in_all(masks: np.ndarray | None) -> np.ndarray | None:
    """[A] int8: the actions that are legal in every environment."""
    return None if masks is None else np.asarray(masks.all(axis=0), np.int8)
