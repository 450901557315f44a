"""The contract of agents that learn from blocks: an actor, and what is learned from what it did."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from dopamine_lite.acting.actor import Actor
from dopamine_lite.agents.agent import Agent
from dopamine_lite.common.block import Block
from dopamine_lite.common.types import Transitions


class BlockAgent(Agent):
    """Wires an actor, a memory and a learner.

    In training, the Runner lets the actor act for `block_length` steps and gives the block to `learn`.
    A block can end sooner: after 64 steps of each environment, when a segment of the run ends, when the
    log asks for metrics and, with `blocks_end_with_episodes`, when an episode ends.
    """

    actor: Actor
    blocks_end_with_episodes = False  # whether a block also ends where an episode does
    _decisions: Any = None  # from the last `act` in training

    @property
    @abc.abstractmethod
    def block_length(self) -> int | None:
        """Steps that each environment takes until something is to be learned; None: unknown."""

    @abc.abstractmethod
    def learn(self, block: Block) -> None:
        """Stores the steps of a block, and learns if an update is due after them."""

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        acted = self.actor.act(observations, evaluate, action_masks)
        if not evaluate:
            self._decisions = acted.decisions
        return acted.actions

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        """As `Agent.observe`, for a loop that knows no blocks: learns from a block of one step."""
        if not evaluate:
            after = transitions.next_observations, transitions.next_action_masks
            self.learn(Block.of([transitions], after, [self._decisions]))
