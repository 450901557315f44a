"""The loop without separate actors: the agent itself steps all environments."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

import numpy as np

from dopamine_lite.collecting.shares import Shares
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.types import State
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics
from dopamine_lite.runner.play import Player, Tick, player_for
from dopamine_lite.runner.stage import Stage


class Alone:
    """Plays segments and evaluations, as `Lockstep` does with actors.

    Args:
      stage: the agent, and the maker of its environments.
      num_envs: N, the number of environments in training.
    """

    def __init__(self, stage: Stage, num_envs: int):
        self._stage = stage
        self._num_envs = num_envs
        self._player: Player | None = None  # for the segment

    def play(
        self, seeds: Seeds, statistics: IterationStatistics, steps: int, log_every_steps: int
    ) -> Generator[Tick]:
        """Plays a segment, and lets the agent learn from it; yields each step of all environments.

        Args:
          seeds: gives the environments their seed.
          statistics: takes the rewards and the ends of episodes.
          steps: agent steps of the segment, over all environments.
          log_every_steps: agent steps after which metrics are logged.
        """
        num_envs = self._num_envs
        environment = self._stage.create_environment(seeds.integer(), num_envs)
        with contextlib.closing(environment):
            self._player = player_for(self._stage.agent)
            yield from self._stage.play(
                environment, self._player, statistics, lambda tick, _: tick * num_envs >= steps
            )

    def flush(self) -> None:
        """Lets the agent learn from all steps so far."""
        assert self._player is not None
        self._player.flush()

    def evaluate(
        self, shares: Shares, seed: int, on_episode: Callable[[], None]
    ) -> list[EpisodeRecord]:
        """As `Stage.play_shares`."""
        return self._stage.play_shares(shares, seed, on_episode)

    def metrics(self) -> dict[str, float | np.ndarray]:
        """Nothing: the agent's own metrics are those of its actor, too."""
        return {}

    def get_state(self) -> State:
        """Nothing: all state is the agent's."""
        return {}

    def set_state(self, state: State) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing: environments are closed at the end of each segment."""
