"""Sarsa (Rummery and Niranjan 1994) with a table: on-policy control, toward the action taken next."""

from __future__ import annotations

from typing import NamedTuple

import gin
import numpy as np

from dopamine_lite.agents.agent import State, Transitions
from dopamine_lite.agents.tabular_agent import TabularAgent


class _Pending(NamedTuple):
    """Updates that wait for the action in s', of the M environments whose episode goes on."""

    streams: np.ndarray  # [M] the environments; saved states use this name
    entries: np.ndarray  # [M] where Q(s, a) is
    rewards: np.ndarray  # [M]


@gin.configurable
class SarsaAgent(TabularAgent):
    """Sarsa: moves Q(s, a) toward r + gamma Q(s', a') (Sutton and Barto 2018, eq. 6.7).

    a' is the action that the policy takes in s', so the update waits for the next `act`. If the
    episode is truncated in s', a' is drawn from the policy as if the episode continued.

    Args:
      spec, seeds, gamma, learning_rate, learning_rate_decay_period, initial_value, exploration: see
        `TabularAgent`.
    """

    _pending: _Pending | None = None

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        actions = super().act(observations, evaluate, action_masks)
        if self._pending is not None and not evaluate:
            environments, entries, rewards = self._pending
            next_entries = self._entries_of(observations, actions)[environments]
            self._update(entries, rewards + self._gamma * self._entries[next_entries])
            self._pending = None
        return actions

    def _learn(self, transitions: Transitions) -> None:
        entries = self._entries_of(transitions.observations, transitions.actions)
        ended = transitions.terminated | transitions.truncated
        if ended.any():
            targets = self._targets(transitions, self._values_at_truncation(transitions))
            self._update(entries[ended], targets[ended])
        going_on = np.flatnonzero(~ended)
        if going_on.size:
            self._pending = _Pending(going_on, entries[going_on], transitions.rewards[going_on])

    def _values_at_truncation(self, transitions: Transitions) -> np.ndarray:
        """Q(s', a') [N] of actions drawn where the episode was truncated; 0 elsewhere."""
        values = np.zeros(len(transitions.actions))
        cut = np.flatnonzero(transitions.truncated)
        if cut.size:
            states, masks = transitions.next_observations[cut], transitions.next_action_masks
            actions = self._choose(states, False, None if masks is None else masks[cut])
            values[cut] = self._values(states)[np.arange(len(cut)), actions]
        return values

    def get_state(self) -> State:
        # None between segments, where every episode has ended.
        pending = None if self._pending is None else self._pending._asdict()
        return super().get_state() | {"pending": pending}

    def set_state(self, state: State) -> None:
        super().set_state(state)
        pending = state["pending"]
        self._pending = None if pending is None else _Pending(**pending)
