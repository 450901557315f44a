"""The contract of agents that learn from blocks: an actor acts, and the agent learns from its steps."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from dopamine_lite.acting.actor import Acted, Actor
from dopamine_lite.agents.agent import Agent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import Transitions
from dopamine_lite.replay.block import Block


class BlockAgent(Agent):
    """Wires an actor, a memory and a learner.

    In training, the Runner lets the actor act for `block_length` steps and gives the block to `learn`.
    A block can end sooner: after 64 steps of each environment, when a segment of the run ends, when the
    log asks for metrics (unless there is a `Runner.policy_lag`) and, with `blocks_end_with_episodes`,
    when an episode ends.
    """

    actor: Actor
    blocks_end_with_episodes = False  # whether a block also ends where an episode does
    learns_from_other_actions = (
        True  # whether it can learn from actions that its actor did not choose
    )
    needs_decisions = False  # whether it learns from what its actor records about its decisions
    _acted: Acted | None = None  # from the last `act` in training

    @property
    @abc.abstractmethod
    def block_length(self) -> int | None:
        """Steps that each environment takes until the agent learns next; None: unknown."""

    @abc.abstractmethod
    def learn(self, block: Block) -> None:
        """Stores the steps of a block, and learns if an update is due after them."""

    def actor_parameters(self) -> Any:
        """All parameters of the actor, for `load` of an equal actor in another process.

        They are a NumPy array or a tree of such arrays, which neither the caller nor the agent changes:
        actors in threads read it while the agent learns.
        """
        name = type(self).__name__
        raise UserError(
            f"{name} has no `actor_parameters`, so its actors cannot act in other threads or "
            "processes: add this method (docs/how_to/parallel_actors.md), or bind Runner.actors = "
            "None."
        )

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        acted = self.actor.act(observations, evaluate, action_masks)
        if not evaluate:
            self._acted = acted
        return acted.actions

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        """As `Agent.observe`, for a loop without blocks: learns from a block of one step.

        Raises:
          UserError: `act` of a subclass did not ask the actor, or returned actions that the actor did
            not choose, and the agent cannot learn from those.
        """
        if evaluate:
            return
        acted, self._acted = self._acted, None
        name = type(self).__name__
        if acted is None and self.needs_decisions:
            raise UserError(
                f"{name}.act did not ask its actor, but {name} learns from what the actor records "
                "about its decisions: call `super().act` in every step, or give the agent an actor "
                "of your own (docs/how_to/your_own_agent.md)."
            )
        if (
            acted is not None
            and not self.learns_from_other_actions
            and not np.array_equal(acted.actions, transitions.actions)
        ):
            raise UserError(
                f"{name}.act did not return the actions that its actor chose, but {name} can learn "
                "only from those: change actions in an actor of your own "
                "(docs/how_to/your_own_agent.md)."
            )
        after = transitions.next_observations, transitions.next_action_masks
        self.learn(Block.of([transitions], after, [acted.decisions if acted else None]))
