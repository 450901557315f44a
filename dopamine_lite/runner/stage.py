"""An experiment's agent and environments: everything that plays, without any files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.collecting.shares import Counted, EpisodeShares, Shares
from dopamine_lite.common.checks import check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.devices import Devices
from dopamine_lite.environments.checked import introduced
from dopamine_lite.environments.environment import Environment, EnvironmentSpec
from dopamine_lite.reporting.info_metrics import InfoMetrics
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics
from dopamine_lite.runner.play import Player, Tick, play, player_for
from dopamine_lite.runner.settings import RunSettings


def _nothing() -> None:
    pass


class Stage:
    """The agent and the environments of an experiment.

    Args:
      settings: the run's settings.
      config: the record of the configuration, which is in force while a part is made.
      make_agent: called with (spec, seeds).
      make_environment: called with (num_envs=, seed=, max_steps_per_episode=, render=, evaluate=).
      info_metrics: keys of numbers in infos that are logged like returns.
      say_once: called with the topic of a sentence for the user, and the sentence.
      devices: the devices that the agent learns on.

    Attributes:
      limit: the requested agent steps after which an episode is truncated.
      after_step: called after every step that is played; it may raise.
    """

    def __init__(
        self,
        settings: RunSettings,
        config: configuration.Record,
        make_agent: Callable[..., Agent],
        make_environment: Callable[..., Environment],
        info_metrics: Sequence[str],
        say_once: Callable[[str, str], None],
        devices: Devices,
    ):
        self.limit = settings.max_steps_per_episode
        self.after_step: Callable[[], None] = _nothing
        self.make_agent = make_agent
        self.make_environment = make_environment
        self._settings = settings
        self._config = config
        self._say_once = say_once
        self.spec = self.look_at_environment()
        with config.in_force(), devices.scope():
            made = make_agent(self.spec, Seeds(settings.seed).child("agent"))
        self.agent = checked_part("Runner", "agent", made, Agent)
        self.devices = devices
        self._require_shared_batches()
        self.info_metrics = InfoMetrics(info_metrics, self.spec.id, say_once)

    def _require_shared_batches(self) -> None:
        """Raises UserError if there are several devices, but the agent learns on only one."""
        learner = getattr(self.agent, "learner", None)
        if self.devices.kind != "tpu" and self.devices.count == 1:
            return
        if not getattr(learner, "shares_batches", False):
            raise UserError(
                f"{type(self.agent).__name__} learns on one device, but tensorflow_devices.device is "
                f"{self.devices.name!r}: choose cpu or one GPU."
            )

    def look_at_environment(self) -> EnvironmentSpec:
        """The environments' specification, against which the result of their `reset` was checked."""
        num_envs = self._settings.num_envs
        with contextlib.closing(self.create_environment(seed=0, num_envs=num_envs)) as first:
            first.reset()
            return first.spec

    def create_environment(
        self, seed: int, num_envs: int, render: bool = False, evaluate: bool = False
    ) -> Environment:
        """A new environment, made as the configuration describes it and checked against its spec."""
        with self._config.in_force():
            environment = self.make_environment(
                num_envs=num_envs,
                seed=seed,
                max_steps_per_episode=self.limit,
                render=render,
                evaluate=evaluate,
            )
        return introduced(environment, num_envs, self._say_once)

    def play(
        self,
        environment: Environment,
        player: Player,
        statistics: IterationStatistics,
        is_last: Callable[[int, list[EpisodeRecord]], bool],
    ) -> Iterator[Tick]:
        """As `play.play`, with this agent's name, and with rewards clipped if the settings say so."""
        ticks = play(
            environment,
            player,
            statistics,
            is_last,
            agent=type(self.agent).__name__,
            clip_rewards=self._settings.clip_rewards,
        )
        for tick in ticks:
            self.after_step()
            yield tick

    def evaluate(
        self, episodes: int, seed: int, on_episode: Callable[[], None] = _nothing
    ) -> list[EpisodeRecord]:
        """Plays whole episodes with the evaluation policy; learns nothing.

        Each environment plays its share of the episodes, so that short episodes are not favored.
        `on_episode` is called after each episode.

        Raises:
          UserError: an episode does not end.
        """
        check_whole("Runner.evaluate", episodes=episodes)
        shares = EpisodeShares.of(episodes, self._settings.num_envs)
        return self.play_shares(shares, Seeds(seed).integer("evaluation"), on_episode)

    def play_shares(
        self, shares: Shares, seed: int, on_episode: Callable[[], None] = _nothing
    ) -> list[EpisodeRecord]:
        """Plays `shares` with the evaluation policy, in environments made with this seed.

        Returns:
          The episodes that count, in the order in which they ended.
        """
        statistics = IterationStatistics(self.info_metrics)
        counted = Counted(shares, statistics, self.spec.id)

        def is_last(tick: int, finished: list[EpisodeRecord]) -> bool:
            for _ in finished:
                on_episode()
            return counted.is_last(tick, finished)

        environment = self.create_environment(seed, shares.num_envs, evaluate=True)
        with contextlib.closing(environment):
            for _ in self.play(environment, player_for(self.agent, True), statistics, is_last):
                pass
        return [record for _, record in counted.records]


def check_factory(name: str, value: Any) -> None:
    """Raises UserError if `value` of Runner's parameter `name` makes no agent, or no environment."""
    if isinstance(value, type) and issubclass(value, gymnasium.Env):
        raise UserError(
            f"Runner.{name} is {value.__name__}, the class of a Gymnasium environment: register it with "
            "gymnasium.register, and let @create_environment make it by its id "
            "(docs/how_to/your_own_environment.md)."
        )
    if not callable(value):
        raise UserError(
            f"Runner.{name} is {value!r}: give a reference to a class or function that makes it, "
            "such as @DQNAgent or @create_environment."
        )
