"""The contract between the Runner and every agent: five methods over batches of N streams."""

from __future__ import annotations

import abc
import inspect
from pathlib import Path
from typing import Any, Self

import gymnasium
import numpy as np

from dopamine_lite.agents.explanation import Explanation
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State, Transitions
from dopamine_lite.environments.environment import EnvironmentSpec

__all__ = ["Agent", "Explanation", "State", "Transitions", "discrete_actions"]


class Agent(abc.ABC):
    """Acts and learns. Built as `agent(spec, seeds)`: an `EnvironmentSpec` and a `Seeds` node.

    With `evaluate=True` an agent acts by its evaluation policy and learns nothing; whatever it
    draws then comes from a generator of its own, so that evaluating never changes training.
    """

    settings: dict[str, Any]  # what its maker gave it, beyond spec, seeds and what gin did

    def __new__(cls, *arguments: Any, **settings: Any) -> Self:
        """Keeps the settings: a run built in Python is told from another by them."""
        agent = super().__new__(cls)
        further = dict(enumerate(arguments[2:], start=2))
        names = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
        given = {
            names[index] if index < len(names) else str(index): further[index] for index in further
        }
        agent.settings = given | settings
        return agent

    @abc.abstractmethod
    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns actions [N] for observations [N, ...].

        `action_masks` [N, A] bool, the legal actions, are given where `spec.action_masks` says so.
        """

    @abc.abstractmethod
    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        """Takes in what the last `act` led to; this is where an agent stores and learns."""

    @property
    def first_update(self) -> int | None:
        """The agent steps, over all streams, with the last of which the first thing is learned.

        A run that is shorter learns nothing. None where that depends on what happens, or is not known.
        """
        return None

    def metrics(self) -> dict[str, float | np.ndarray]:
        """What happened since the last call: numbers (loss, epsilon ...) and arrays (histograms)."""
        return {}

    @abc.abstractmethod
    def get_state(self) -> State:
        """Everything that decides what the agent does next.

        The Runner calls it only where every stream's episode has just ended: before a checkpoint it
        truncates those in flight.
        """

    @abc.abstractmethod
    def set_state(self, state: State) -> None:
        """Takes the place of the agent that returned `state`.

        Where that has RingSlots, such as a replay's, they may be None: the memory then stays empty,
        which is enough to evaluate.
        """

    def start_from(self, state: State) -> None:
        """Takes the weights, and nothing else, of an agent that returned `state`, before the first step.

        That may be of another experiment; of its replay nothing is read.

        Raises:
          UserError: this agent has no weights that another could give it.
          KeyError, ValueError: these do not fit.
        """
        raise UserError(f"A {type(self).__name__} cannot start from the weights of another run.")

    def export(self, path: Path, as_keras: bool) -> None:
        """Writes the evaluation policy to `path`, as a SavedModel or as a Keras model.

        Raises:
          UserError: this agent has nothing to export, or not in this format.
        """
        raise UserError(f"A {type(self).__name__} has no network to export.")

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation | None:
        """What this agent makes of observations [N, ...], to be drawn; None: nothing can be said.

        `action_masks` as in `act`. Changes nothing and draws nothing from a generator that acting or
        learning draws from, so that an agent that explains itself does what it would have done.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """What this agent is, for the log, `inspect` and provenance: its active parts by name,
        `parameters` (their number) and `memory_bytes` (what it will hold when full; with `replay`,
        its name, the Runner looks whether that fits)."""
        return {}


def discrete_actions(spec: EnvironmentSpec, agent: str) -> gymnasium.spaces.Discrete:
    """The action space, for an agent of that name which needs a discrete one.

    Raises:
      UserError: it is another.
    """
    space = spec.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UserError(
            f"{agent} needs a discrete action space, but {spec.id} has {space}: choose an agent "
            "for continuous actions or another environment."
        )
    return space
