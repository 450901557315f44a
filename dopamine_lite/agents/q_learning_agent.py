"""Q-learning (Watkins 1989) with a table: off-policy control, toward the best next action."""

from __future__ import annotations

import gin

from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.tabular_agent import TabularAgent


@gin.configurable
class QLearningAgent(TabularAgent):
    """Q-learning: moves Q(s, a) toward r + gamma max_a' Q(s', a') (Sutton and Barto 2018, eq. 6.8).

    Args:
      spec, seeds, gamma, learning_rate, learning_rate_decay_period, initial_value, exploration: see
        `TabularAgent`.
    """

    def _learn(self, transitions: Transitions) -> None:
        next_q = self._legal_values(transitions.next_observations, transitions.next_action_masks)
        self._update(
            self._entries_of(transitions.observations, transitions.actions),
            self._targets(transitions, next_q.max(axis=1)),
        )
