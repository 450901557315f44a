"""Double Q-learning (van Hasselt 2010): two tables, each values the action that the other finds best."""

from __future__ import annotations

import gin
import numpy as np

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.tabular_agent import TabularAgent, legal
from dopamine_lite.common.greedy import greedy


@gin.configurable
class DoubleQLearningAgent(TabularAgent):
    """Moves Q_i(s, a) towards r + gamma Q_j(s', argmax_a' Q_i(s', a')) (van Hasselt 2010, algorithm 1).

    A coin decides for each stream in each step which of the two tables is i. Acts by the tables' mean.

    The arguments are those of `TabularAgent`.
    """

    _num_tables = 2

    def _values(self, observations: np.ndarray) -> np.ndarray:
        states = observations - self._first_state
        first, second = self._tables
        return (first.take(states, axis=0) + second.take(states, axis=0)) / 2

    def _learn(self, transitions: Transitions) -> None:
        streams = np.arange(len(transitions.actions))
        tables = self._generator.integers(2, size=len(streams))  # whose turn it is to learn
        next_states = transitions.next_observations - self._first_state
        next_q = legal(self._tables[tables, next_states], transitions.next_action_masks)
        best = greedy(next_q, self._generator)  # ties at random
        entries = self._entries_of(transitions.observations, transitions.actions)
        self._update(
            tables * self._tables[0].size + entries,
            self._targets(transitions, self._tables[1 - tables, next_states, best]),
        )
