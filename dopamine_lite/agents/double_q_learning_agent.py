"""Double Q-learning (van Hasselt 2010): two tables, each values the action that the other finds best."""

from __future__ import annotations

import gin
import numpy as np

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.tabular_agent import TabularAgent, legal
from dopamine_lite.networks.greedy import greedy


@gin.configurable
class DoubleQLearningAgent(TabularAgent):
    """Double Q-learning: moves Q_i(s, a) toward r + gamma Q_j(s', argmax_a' Q_i(s', a')).

    There are two tables (van Hasselt 2010, algorithm 1). In each step of each environment, a coin
    decides which of them is i, the table that learns. The agent acts by the mean of the two tables.

    Args:
      spec, seeds, gamma, learning_rate, learning_rate_decay_period, initial_value, exploration: see
        `TabularAgent`.
    """

    _num_tables = 2

    def _values(self, observations: np.ndarray) -> np.ndarray:
        states = observations - self._first_state
        first, second = self._tables
        return (first.take(states, axis=0) + second.take(states, axis=0)) / 2

    def _learn(self, transitions: Transitions) -> None:
        turns = len(transitions.actions)
        tables = self._generator.integers(2, size=turns)  # whose turn it is to learn
        next_states = transitions.next_observations - self._first_state
        next_q = legal(self._tables[tables, next_states], transitions.next_action_masks)
        best = greedy(next_q, self._generator)  # ties at random
        entries = self._entries_of(transitions.observations, transitions.actions)
        self._update(
            tables * self._tables[0].size + entries,
            self._targets(transitions, self._tables[1 - tables, next_states, best]),
        )
