"""What the agents that learn action values share: the network of these values, and acting on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

from dopamine_lite.acting.exploration import EpsilonGreedy, Exploration, made_exploration
from dopamine_lite.acting.inference import Inference
from dopamine_lite.acting.value_actor import ValueActor
from dopamine_lite.agents.agent import Explanation, State, discrete_actions
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.torsos import NatureCNN, Torso, unread, updating
from dopamine_lite.networks.value_policy import ValuePolicy

H = TypeVar("H", bound=Head)


class ActionValueAgent(BlockAgent, Generic[H]):
    """Acts on the action values of a network. A subclass defines its memory and how it learns.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      warmup: agent steps before the exploration begins to use the action values.
      tells_values: whether the decisions in a block are `ValueDecisions`.
      torso: the network's body, such as `@NatureCNN` or `@MLP`.
      head: the network's output layers.
      exploration: the strategy that chooses actions by their values.
      optimizer: the optimizer that takes the gradient steps.
    """

    actor: ValueActor
    learner: Any  # its state has the network's parameters as "online"
    _head_kind: type[Any] = object  # what the learner's loss can read

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        warmup: int = 0,
        tells_values: bool = False,
        *,
        torso: Callable[[Seeds], Torso] = NatureCNN,
        head: Callable[[Seeds, int], H],
        exploration: Callable[[int, int, Seeds], Exploration] = EpsilonGreedy,
        optimizer: Callable[[], Optimizer] = Adam,
    ):
        name = type(self).__name__
        actions = discrete_actions(spec, name)
        self._spec = spec
        self._num_actions, first_action = int(actions.n), int(actions.start)
        self._makers = torso, head, seeds.child("network")
        explore = made_exploration(
            *(name, exploration, self._num_actions, warmup, seeds.child("exploration")),
            *(spec.first_env, spec.num_envs),
        )
        self._network = self._new_network()
        self._optimizer = checked_part(name, "optimizer", optimizer(), Optimizer)
        self.actor = ValueActor(
            Inference(self._network), explore, seeds, spec.num_envs, first_action, tells_values
        )
        self._policy = ValuePolicy(self._network, spec.observation_space, first_action)

    def _new_network(self) -> Network[H]:
        """A new network. All networks made here begin with the same parameters."""
        name, (torso, head, seeds) = type(self).__name__, self._makers
        made = checked_part(name, "torso", torso(seeds.child("torso")), Torso)
        output = checked_part(name, "head", head(seeds.child("head"), self._num_actions), Head)
        try:
            network = Network(made, output, self._spec.observation_space, self._spec.stack_size)
        except UserError as error:
            if torso is not NatureCNN:
                raise
            raise UserError(
                f"Nothing is bound to {name}.torso, and what is bound to another agent does not count, "
                f"so it is the default, @NatureCNN. {error}"
            ) from error
        if not isinstance(network.head, self._head_kind):
            raise UserError(
                f"{name}.head makes a {type(network.head).__name__}, but {name} learns the outputs of "
                f"a {self._head_kind.__name__}: bind @{self._head_kind.__name__}."
            )
        return network

    def _load(self) -> None:
        """Gives the actor the current parameters."""
        self.actor.load(self.actor.inference.parameters())

    def actor_parameters(self) -> np.ndarray:
        return self.actor.inference.all_parameters()

    def start_from(self, state: State) -> None:
        self.learner.start_from(state["online"])
        self._load()

    def export(self, path: Path, format: str = "savedmodel") -> None:
        self._policy.export(path, format)

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        """As `Agent.explain`, without noise. IQN's fractions are evenly spaced and not drawn."""
        return Explanation(**self._policy.explain(observations))

    def describe(self) -> dict[str, Any]:
        network = self._network
        return {
            "agent": type(self).__name__,
            "torso": type(network.torso).__name__,
            **unread(network.torso),
            **network.head.describe(),
            "exploration": type(self.actor.exploration).__name__,
            "optimizer": type(self._optimizer).__name__,
            "acting": self.actor.inference.kind,
            "precision": network.precision,
            "updating": updating(network.torso),
            "parameters": network.num_parameters,
        }
