"""The contract between the Runner and every agent: five methods over batches of N environments."""

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
    """Acts and learns.

    An agent is built as `agent(spec, seeds)`, with an `EnvironmentSpec` and a node of `Seeds`. With
    `evaluate=True`, an agent follows its evaluation policy and learns nothing. It then draws from a
    separate generator, so evaluating never changes training.

    Attributes:
      settings: what it was built with, apart from `spec`, `seeds` and what gin supplied.
    """

    settings: dict[str, Any]

    def __new__(cls, *arguments: Any, **settings: Any) -> Self:
        """Keeps the settings, which tell one run that is built in Python from another."""
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
        """Chooses actions.

        Args:
          observations: [N, ...] the observations of N environments.
          evaluate: whether to follow the evaluation policy.
          action_masks: [N, A] bool, which actions are legal; None: all are. It is given if
            `spec.action_masks` is set.

        Returns:
          [N, ...] actions.
        """

    @abc.abstractmethod
    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        """Receives what the last `act` led to. This is where an agent stores and learns."""

    @property
    def first_update(self) -> int | None:
        """The agent steps, over all environments, after which something has been learned.

        A shorter run learns nothing, and says so when it starts. None: the number is not known.
        """
        return None

    def metrics(self) -> dict[str, float | np.ndarray]:
        """Measurements since the last call: numbers, such as a loss, and arrays for histograms."""
        return {}

    @abc.abstractmethod
    def get_state(self) -> State:
        """Everything that determines what the agent does next.

        The Runner calls it only when every environment's episode has just ended: before a checkpoint it
        truncates the episodes in progress.
        """

    @abc.abstractmethod
    def set_state(self, state: State) -> None:
        """Puts this agent into `state`, which `get_state` returned.

        The slots of a replay in `state` may be None. Its memory then stays empty, which is enough to
        evaluate.
        """

    def start_from(self, state: State) -> None:
        """Takes only the weights from `state`, which another agent returned, before the first step.

        The other agent may be from another experiment. Nothing is read from its replay.

        Raises:
          UserError: this agent cannot take weights from another agent.
          KeyError, ValueError: the weights do not fit.
        """
        raise UserError(f"A {type(self).__name__} cannot start from the weights of another run.")

    def export(self, path: Path, format: str = "savedmodel") -> None:
        """Writes the evaluation policy to `path`.

        Args:
          path: a new directory for a SavedModel, a new file for a Keras model.
          format: "savedmodel", or "keras".

        Raises:
          UserError: this agent has nothing to export, or cannot export it in this format.
        """
        raise UserError(f"A {type(self).__name__} has no network to export.")

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation | None:
        """What this agent computes for observations, to be drawn by `record --explain`.

        The method must change nothing, and it must not draw from a generator that acting or learning
        draws from, so that explaining does not change what the agent does.

        Args:
          observations: [N, ...] as in `act`.
          action_masks: [N, A] as in `act`.

        Returns:
          The values, distributions or policy that the agent has; None: it has nothing to show.
        """
        return None

    def describe(self) -> dict[str, Any]:
        """What this agent is: its active parts by name, and the number of its `parameters`.

        It is shown when a run starts and by `inspect`, and `provenance.json` records it.
        """
        return {}

    @property
    def memory_bytes(self) -> int:
        """The bytes that this agent holds when its memory is full, not counting its networks."""
        return 0

    def check_memory(self) -> None:  # noqa: B027 (most take their memory when they are built)
        """Raises `UserError` if what this agent will hold does not fit into the machine's memory."""


def discrete_actions(spec: EnvironmentSpec, agent: str) -> gymnasium.spaces.Discrete:
    """The action space of `spec`, for an agent (named `agent` in messages) that needs a discrete one.

    Raises:
      UserError: the action space is not discrete.
    """
    space = spec.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UserError(
            f"{agent} needs a discrete action space, but {spec.id} has {space}: choose an agent "
            "for continuous actions or another environment."
        )
    return space
