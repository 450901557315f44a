"""The actor: one of an agent's three organs. It chooses actions and records how it decided."""

from __future__ import annotations

from typing import Generic, NamedTuple, Protocol, TypeVar

import numpy as np

from dopamine_lite.common.types import State

Parameters = TypeVar("Parameters", contravariant=True)
Decisions = TypeVar("Decisions", covariant=True)  # a named tuple of arrays [N, ...], or None


class Acted(NamedTuple, Generic[Decisions]):
    """What an actor chose for N environments."""

    actions: np.ndarray  # [N, ...] as the environment takes them
    decisions: Decisions | None = None  # what learning needs to know about them


class Actor(Protocol[Parameters, Decisions]):
    """Chooses actions with the parameters that it was last given, and with exploration.

    An actor knows nothing about environments and replays. With `evaluate=True`, it follows the
    evaluation policy and draws from a separate generator, so evaluating never changes training.
    """

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> Acted[Decisions]:
        """Chooses actions for observations [N, ...].

        `action_masks` [N, A] bool marks the legal actions; None: all actions are legal.
        """

    def load(self, parameters: Parameters) -> None:
        """Takes the parameters that a learner has returned."""

    def metrics(self) -> dict[str, float | np.ndarray]:
        """Measurements since the last call: numbers, such as epsilon, and arrays for histograms."""

    def get_state(self) -> State:
        """Everything, apart from the parameters, that determines how the actor acts next."""

    def set_state(self, state: State) -> None:
        """Puts this actor into `state`, which `get_state` returned."""
