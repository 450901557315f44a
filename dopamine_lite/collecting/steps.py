"""Puts single steps together into blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from dopamine_lite.acting.actor import Acted
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.environment import Step
from dopamine_lite.replay.block import Block

MOST_STEPS = 64  # in a block, which then takes little memory compared with the agent's


class Steps:
    """The steps of N environments since the last block.

    It copies everything, because environment and actor may overwrite their arrays before the block is
    full.
    """

    def __init__(self) -> None:
        self._steps: list[Transitions] = []
        self._decisions: list[Any] = []

    def __len__(self) -> int:
        return len(self._steps)

    def acted(self, acted: Acted) -> np.ndarray:
        """Keeps the decisions for the next step; returns its actions [N, ...]."""
        said = acted.decisions
        self._decisions.append(None if said is None else type(said)(*map(np.copy, said)))
        return acted.actions

    def add(
        self, transitions: Transitions, observations: np.ndarray, masks: np.ndarray | None
    ) -> bool:
        """Adds a step and the next observations; returns whether an episode ended with the step."""
        ended = bool((transitions.terminated | transitions.truncated).any())
        self._steps.append(_kept(transitions, ended))
        self._after = observations, masks
        return ended

    def take(self) -> Block:
        """Returns the block of all added steps, and forgets them."""
        block = Block.of(self._steps, self._after, self._decisions)
        self._steps, self._decisions = [], []
        return block


def _kept(transitions: Transitions, ended: bool) -> Transitions:
    """A copy. Final observations are copied only if an episode has ended."""
    masks = transitions.action_masks
    kept = transitions._replace(
        observations=transitions.observations.copy(),
        actions=transitions.actions.copy(),
        rewards=transitions.rewards.copy(),
        terminated=transitions.terminated.copy(),
        truncated=transitions.truncated.copy(),
        action_masks=None if masks is None else masks.copy(),
    )
    if not ended:
        return kept
    masks = transitions.next_action_masks
    return kept._replace(
        next_observations=transitions.next_observations.copy(),
        next_action_masks=None if masks is None else masks.copy(),
    )


def transitions_of(
    observations: np.ndarray,
    masks: np.ndarray | None,
    actions: np.ndarray,
    step: Step,
    clip_rewards: bool,
) -> Transitions:
    """The transitions that an agent gets for a step from `observations` and their action masks."""
    return Transitions(
        observations,
        actions,
        np.clip(step.rewards, -1, 1) if clip_rewards else step.rewards,
        step.terminated,
        step.truncated,
        step.next_observations,
        masks,
        step.next_action_masks,
    )
