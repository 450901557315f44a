"""The loop with separate actors: they collect a block together, and then the agent learns.

All environments in a block are stepped with the same parameters. The steps of a block are sorted by step
and then by environment, so the number of actors, their places and their order do not matter. With a
policy lag of 1, a block is collected while the agent learns from the previous block, so the parameters
are always one block old (Daley and Amato 2021, generalized).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import numpy as np

from dopamine_lite import configuration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.collecting.backend import Backend
from dopamine_lite.collecting.collector import (
    Begin,
    Collected,
    Evaluated,
    Evaluation,
    Group,
    Order,
    Recipe,
)
from dopamine_lite.collecting.crew import Crew
from dopamine_lite.collecting.joining import infos_of_all, joined, metrics_of_all
from dopamine_lite.collecting.parcel import packed
from dopamine_lite.collecting.processes import ProcessBackend
from dopamine_lite.collecting.ray_workers import RayBackend
from dopamine_lite.collecting.shares import Shares
from dopamine_lite.collecting.threads import ThreadBackend
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.stopwatch import lap
from dopamine_lite.common.types import State
from dopamine_lite.files.strict_json import expect
from dopamine_lite.replay.block import Block
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics
from dopamine_lite.runner.play import Tick, block_length, learns_from_blocks
from dopamine_lite.runner.settings import RunSettings
from dopamine_lite.runner.stage import Stage


class Lockstep:
    """Plays segments with a crew of actors. The first segment starts the crew.

    Args:
      stage: the agent that learns, and the maker of its environments.
      settings: the run's settings; `actors` is not None.
      config: the record of the configuration.
      threads: TensorFlow's "intra_op" and "inter_op" in this process.
      say: called with a sentence for the user.
      say_once: called with the topic of a sentence, and the sentence.
    """

    def __init__(
        self,
        stage: Stage,
        settings: RunSettings,
        config: configuration.Record,
        threads: Mapping[str, int],
        say: Callable[[str], None],
        say_once: Callable[[str, str], None],
    ):
        self._groups = Group.all_of(settings.num_envs, settings.group_size)
        self._firsts = [group.first for group in self._groups]
        self._stage = stage
        self._settings = settings
        self._config = config
        self._threads = threads
        self._say = say
        self._say_once = say_once
        self._states: list[State | None] = [None] * len(self._groups)  # of the actors
        self._metrics: dict[str, float | np.ndarray] = {}
        self._crew: Crew | None = None

    def play(
        self,
        seeds: Seeds,
        statistics: IterationStatistics,
        steps: int,
        log_every_steps: int,
    ) -> Generator[Tick]:
        """Plays a segment, and lets the agent learn from it; yields each step of all environments.

        Args:
          seeds: gives the environments of each group their seed.
          statistics: takes the rewards and the ends of episodes.
          steps: agent steps of the segment, over all environments.
          log_every_steps: agent steps after which metrics are logged. Without a lag, a block ends there.
        """
        agent, num_envs, lag = self._agent, self._settings.num_envs, self._settings.policy_lag
        crew = self._started()
        crew.begin(
            [
                Begin(seeds.integer("group", group.number), self._states[group.number])
                for group in self._groups
            ]
        )
        lap("actors")
        statistics.begin_segment(num_envs)
        taken, last = 0, -(-steps // num_envs)  # for each environment
        waiting: Block | None = None  # collected, but not learned from yet
        while taken < last:
            logs_at = -(-(taken * num_envs // log_every_steps + 1) * log_every_steps // num_envs)
            stop = min(taken + block_length(agent), last)
            if not lag:  # otherwise, a shorter block would have other parameters
                stop = min(stop, logs_at)
            is_last, logs = stop == last, stop >= logs_at
            order = Order(agent.actor_parameters(), stop - taken, is_last, is_last or logs)
            crew.start(order)
            lap("act")
            if waiting is not None:
                self._learn(waiting)
            parts = crew.finish()
            lap("actors")
            block = joined([part.block for part in parts])
            self._take(parts, order.wants_metrics)
            lap("store")
            waiting = block if lag else None
            if waiting is None:
                self._learn(block)
            yield from self._ticks(parts, block, statistics, taken)
            taken = stop
        if waiting is not None:
            self._learn(waiting)
        statistics.end_segment()

    @property
    def _agent(self) -> BlockAgent:
        return block_agent(self._stage.agent)

    def _learn(self, block: Block) -> None:
        self._agent.learn(block)
        lap("update")

    def flush(self) -> None:
        """Does nothing: the agent has learned from the block, or learns from it one block later."""

    def evaluate(
        self, shares: Shares, seed: int, on_episode: Callable[[], None]
    ) -> list[EpisodeRecord]:
        """As `Stage.play_shares`; each group plays its own share, as fast as it can.

        `on_episode` is called once, after all episodes have been played.
        """
        parameters = self._agent.actor_parameters()
        parts = self._started().evaluate(Evaluation(parameters, seed, shares))
        lap("actors")
        self._states = [part.state for part in parts]
        self._say_what_was_said(parts)
        records = [each for part in parts for each in part.records]
        on_episode()
        return [
            record for _, record in sorted(records, key=lambda each: (each[0], each[1].environment))
        ]

    def _ticks(
        self, parts: list[Collected], block: Block, statistics: IterationStatistics, taken: int
    ) -> Iterator[Tick]:
        rewards = np.concatenate([part.rewards for part in parts], axis=1)
        over = np.concatenate([part.episode_over for part in parts], axis=1)
        infos = infos_of_all(parts, self._firsts)
        for step in range(block.num_steps):
            finished = statistics.step(rewards[step], over[step], infos.get(step))
            self._stage.after_step()
            yield Tick(
                taken + step + 1,
                block.observations[step],
                None if block.action_masks is None else block.action_masks[step],
                block.actions[step],
                rewards[step],
                finished,
            )

    def _take(self, parts: list[Collected], wanted_metrics: bool) -> None:
        self._states = [part.state for part in parts]
        if wanted_metrics:
            self._metrics = metrics_of_all(parts)
        self._say_what_was_said(parts)

    def _say_what_was_said(self, parts: Sequence[Collected | Evaluated]) -> None:
        for part in parts:
            for topic, sentence in part.said:
                self._say_once(topic, sentence)

    def _started(self) -> Crew:
        if self._crew is None:
            assert self._settings.actors is not None
            self._crew = Crew(
                self._backend(),
                self._groups,
                self._settings.actors,
                self._say,
                self._stage.after_step,
            )
        return self._crew

    def _backend(self) -> Backend:
        stage, settings = self._stage, self._settings
        recipe = Recipe(
            stage.make_agent,
            stage.make_environment,
            stage.spec,
            settings.seed,
            stage.limit,
            settings.clip_rewards,
            stage.info_metrics.names,
            self._config.in_force,
        )
        if settings.actor_backend == "threads":
            return ThreadBackend(recipe)
        with self._config.in_force():
            parcel = packed(recipe, configuration.operative(), self._threads, stage.devices.first)
        if settings.actor_backend == "ray":
            assert settings.actors is not None
            return RayBackend(parcel, min(settings.actors, len(self._groups)))
        return ProcessBackend(recipe, parcel, self._agent.actor_parameters())

    def metrics(self) -> dict[str, float | np.ndarray]:
        """The actors' metrics at the end of the last block that requested them."""
        return self._metrics

    def get_state(self) -> State:
        """The actors' states, by group."""
        return {"actors": self._states}

    def set_state(self, state: State) -> None:
        """Gives the actors the states that `get_state` returned."""
        states = expect(list, state["actors"])
        if len(states) != len(self._groups):
            raise ValueError(f"{len(states)} groups of actors instead of {len(self._groups)}")
        self._states = states

    def close(self) -> None:
        """Ends the actors."""
        if self._crew is not None:
            self._crew.close()
            self._crew = None


def block_agent(agent: Agent) -> BlockAgent:
    """`agent`, if separate actors can act for it.

    Raises:
      UserError: actors cannot act for it.
    """
    name = type(agent).__name__
    if not isinstance(agent, BlockAgent):
        raise UserError(
            f"Runner.actors needs an agent that consists of an actor and a learner, but {name} "
            "does not: bind Runner.actors = None."
        )
    if not learns_from_blocks(agent):
        raise UserError(
            f"{name} redefines act or observe, but separate actors would not call these methods: "
            "move their work to an actor or to `learn` (docs/how_to/your_own_agent.md), or bind "
            "Runner.actors = None."
        )
    if agent.blocks_end_with_episodes:
        raise UserError(
            f"{name} learns at the end of each episode, so its environments cannot be stepped "
            "independently for a whole block: bind Runner.actors = None."
        )
    return agent
