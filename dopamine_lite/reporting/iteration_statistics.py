"""Statistics of an iteration: raw returns of its whole episodes, means of logged metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.reporting.info_metrics import PREFIX, InfoMetrics


class EpisodeRecord(NamedTuple):
    """One whole episode."""

    episode_return: float  # sum of raw rewards
    length: int  # agent steps
    environment: int  # the number of the environment, from 0
    infos: Mapping[str, float | None] = {}  # numbers from its last info, by name


class IterationStatistics:
    """Collects whole episodes and logged scalars over the segments of one phase.

    An episode that is cut by a segment's end is counted and dropped, so that it never mixes with whole
    episodes. `get_state` and `set_state` are for the time between two segments, when no episode is in
    flight.

    Args:
      infos: reads numbers from the infos of episodes' last steps.
    """

    def __init__(self, infos: InfoMetrics | None = None) -> None:
        self._infos = infos
        self._info_names = infos.names if infos else ()
        self._episodes: list[EpisodeRecord] = []
        self._cut_episodes = 0
        self._steps = 0
        self._logged: dict[str, tuple[float, int]] = {}  # sum and number of points
        self._in_segment = False

    def begin_segment(self, num_envs: int) -> None:
        """Starts an episode in each of `num_envs` environments."""
        self._in_segment = True
        self._returns = np.zeros(num_envs)
        self._ticks = 0  # batched steps of this segment
        self._began = np.zeros(num_envs, np.int64)  # the tick before each episode's first tick

    def step(
        self,
        rewards: np.ndarray,
        ended: np.ndarray,
        infos: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> list[EpisodeRecord]:
        """Takes in one step of every environment; returns the episodes that ended, by environment.

        Args:
          rewards: [N] raw rewards; they are added up in float64.
          ended: [N] bool, true where an episode ended with this step, terminated or truncated.
          infos: infos of the episodes that ended, by environment, if there are any.
        """
        self._returns += rewards
        self._ticks += 1
        self._steps += len(rewards)
        environments = ended.nonzero()[0].tolist()  # NumPy's cheapest test
        if not environments:
            return []
        finished = [
            EpisodeRecord(float(self._returns[index]), self._ticks - int(self._began[index]), index)
            for index in environments
        ]
        if self._info_names:
            assert self._infos is not None
            finished = [
                each._replace(infos=self._infos.read((infos or {}).get(each.environment)))
                for each in finished
            ]
        self._returns[environments] = 0
        self._began[environments] = self._ticks
        self._episodes += finished
        return finished

    @property
    def steps(self) -> int:
        """Agent steps so far, over all environments."""
        return self._steps

    def longest_in_flight(self) -> int:
        """Agent steps of the longest episode that is still in flight."""
        return self._ticks - int(self._began.min())

    def end_segment(self) -> None:
        """Drops the episodes that are still in flight, and counts them."""
        self._in_segment = False
        self._cut_episodes += int(np.count_nonzero(self._began < self._ticks))

    def log(self, scalars: Mapping[str, float]) -> None:
        """Adds a point to the mean of each scalar.

        Raises:
          UserError: a scalar has the name of one of the statistics.
        """
        for name, value in scalars.items():
            if name in _OWN_NAMES or name.removeprefix(PREFIX) in self._info_names:
                raise UserError(
                    f"A metric is called {name!r}, which is the name of one of the iteration's "
                    "statistics: give it another name."
                )
            total, points = self._logged.get(name, (0.0, 0))
            self._logged[name] = (total + float(value), points + 1)

    def recent_return(self, episodes: int = 10) -> float | None:
        """The mean return of this phase's last `episodes`; None before the first episode."""
        last = self._episodes[-episodes:]
        return sum(record.episode_return for record in last) / len(last) if last else None

    def summary(self) -> dict[str, Any]:
        """The phase in a few numbers: `summarize`, cut episodes, agent steps and means by name."""
        return summarize(self._episodes, self._info_names) | {
            "cut_episodes": self._cut_episodes,
            "steps": self._steps,
            **{name: total / points for name, (total, points) in sorted(self._logged.items())},
        }

    def get_state(self) -> State:
        assert not self._in_segment, "episodes in flight are not part of the state"
        return {
            "episodes": np.array([each[:3] for each in self._episodes]).reshape(
                -1, 3
            ),  # [E, field]
            "cut_episodes": self._cut_episodes,
            "steps": self._steps,
            "logged": {name: list(mean) for name, mean in self._logged.items()},
            **({"infos": self._values_of_infos()} if self._info_names else {}),
        }

    def _values_of_infos(self) -> dict[str, np.ndarray]:
        """The numbers [E] of each name, NaN where an episode had none."""
        return {
            name: np.array([each.infos[name] for each in self._episodes], np.float64)
            for name in self._info_names
        }

    def set_state(self, state: State) -> None:
        assert not self._in_segment, "the segment's episodes belong to another state"
        self._episodes = [
            EpisodeRecord(total, int(length), int(environment))
            for total, length, environment in state["episodes"].tolist()
        ]
        for name, values in state.get("infos", {}).items():
            self._episodes = [
                each._replace(infos={**each.infos, name: None if math.isnan(value) else value})
                for each, value in zip(self._episodes, values.tolist(), strict=True)
            ]
        self._cut_episodes = state["cut_episodes"]
        self._steps = state["steps"]
        self._logged = {name: (total, points) for name, (total, points) in state["logged"].items()}


def summarize(episodes: Sequence[EpisodeRecord], info_names: Sequence[str] = ()) -> dict[str, Any]:
    """Number, returns and lengths of whole episodes, and the means of named numbers in their infos.

    Missing values are None, not NaN.
    """
    means = {f"{PREFIX}{name}": _mean_of_info(episodes, name) for name in info_names}
    if not episodes:
        return {"episodes": 0} | dict.fromkeys(_OF_EPISODES) | means
    returns = np.array([record.episode_return for record in episodes])
    lengths = np.array([record.length for record in episodes])
    values = (returns.mean(), np.median(returns), returns.min(), returns.max(), lengths.mean())
    summary = dict(zip(_OF_EPISODES, map(float, values), strict=True))
    return {"episodes": len(episodes)} | summary | means


def _mean_of_info(episodes: Sequence[EpisodeRecord], name: str) -> float | None:
    values = [value for each in episodes if (value := each.infos[name]) is not None]
    return float(np.mean(values)) if values else None


_OF_EPISODES = ("average_return", "median_return", "min_return", "max_return", "average_length")
_OWN_NAMES = frozenset(IterationStatistics().summary())
