"""Which episodes of an evaluation count: each environment plays its share, however long it takes."""

from __future__ import annotations

import abc

import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting.iteration_statistics import EpisodeRecord, IterationStatistics

_ENDLESS = 1_000_000  # steps after which an episode in evaluation is considered endless


class Shares(abc.ABC):
    """The episodes that each environment still has to play.

    Each environment has a fixed share, so that short episodes are not favored.

    Attributes:
      num_envs: the number of environments.
    """

    num_envs: int

    @abc.abstractmethod
    def part(self, first: int, size: int) -> Shares:
        """The shares of the environments from number `first`, before anything has been played."""

    @abc.abstractmethod
    def counts(self, tick: int, environment: int) -> bool:
        """Whether an episode that ended with step `tick` counts. Called once for each episode."""

    @abc.abstractmethod
    def are_played(self) -> bool:
        """Whether every environment has played its share."""


class EpisodeShares(Shares):
    """A fixed number of episodes in each environment.

    Args:
      left: [N] the numbers of episodes.
    """

    def __init__(self, left: np.ndarray):
        self._left = left.copy()
        self.num_envs = len(left)

    @classmethod
    def of(cls, episodes: int, num_envs: int) -> EpisodeShares:
        """`episodes`, divided among at most `num_envs` environments."""
        num_envs = min(num_envs, episodes)
        left = np.full(num_envs, episodes // num_envs)
        left[: episodes % num_envs] += 1
        return cls(left)

    def part(self, first: int, size: int) -> EpisodeShares:
        return EpisodeShares(self._left[first : first + size])

    def counts(self, tick: int, environment: int) -> bool:
        self._left[environment] -= 1
        return bool(self._left[environment] >= 0)

    def are_played(self) -> bool:
        return not (self._left > 0).any()


class StepShares(Shares):
    """The episodes that begin within a number of steps of each environment, played to their ends.

    A stop at that step instead would leave out the episodes that are still being played. These are more
    often long ones, and with more environments there are more of them.

    Args:
      ticks: the number of steps of each environment.
      num_envs: N, the number of environments.
    """

    def __init__(self, ticks: int, num_envs: int):
        self._ticks = ticks
        self.num_envs = num_envs
        self._done = np.zeros(num_envs, bool)  # environments whose last counting episode has ended

    def part(self, first: int, size: int) -> StepShares:
        return StepShares(self._ticks, max(0, min(size, self.num_envs - first)))

    def counts(self, tick: int, environment: int) -> bool:
        begun_in_time = not self._done[environment]
        self._done[environment] |= tick >= self._ticks
        return bool(begun_in_time)

    def are_played(self) -> bool:
        return bool(self._done.all())


class Counted:
    """Collects the episodes of an evaluation that count, as they end.

    Args:
      shares: decides which episodes count.
      statistics: the evaluation's statistics.
      environment: the environment's name, for messages.

    Attributes:
      records: for each of these episodes, the number of its last step and its record.
    """

    def __init__(self, shares: Shares, statistics: IterationStatistics, environment: str):
        self.records: list[tuple[int, EpisodeRecord]] = []
        self._shares = shares
        self._statistics = statistics
        self._environment = environment

    def is_last(self, tick: int, finished: list[EpisodeRecord]) -> bool:
        """Takes the episodes that ended with step `tick`; returns whether the evaluation is over.

        Raises:
          UserError: an episode does not end.
        """
        for record in finished:
            if self._shares.counts(tick, record.environment):
                self.records.append((tick, record))
        if tick % _ENDLESS == 0 and self._statistics.longest_in_flight() >= _ENDLESS:
            raise UserError(
                f"An episode of {self._environment} has not ended in evaluation after {_ENDLESS:,} "
                "steps, and nothing limits its length: set Runner.max_steps_per_episode."
            )
        return self._shares.are_played()
