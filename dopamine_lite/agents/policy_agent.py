"""What the agents that learn a policy share: a network of policy and value, and acting on it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.acting.inference import Inference
from dopamine_lite.acting.policy_actor import PolicyActor
from dopamine_lite.agents.agent import Explanation, State
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.common.checks import check_flag
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.policy_parts import PolicyParts
from dopamine_lite.networks.actor_critic import ActorCriticHead, PolicyParameters, TwinTorso
from dopamine_lite.networks.export import save_savedmodel
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.normalization import LIMIT, ObservationNormalizer
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.policies import policy_for
from dopamine_lite.networks.torsos import MLP, Torso


class PolicyAgent(BlockAgent):
    """Acts on a policy network. A subclass defines its memory and how it learns.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@MLP` or `@NatureCNN`.
      shared_torso: policy and value share one torso; False: each has a torso of its own.
      optimizer: the optimizer that takes the gradient steps.
      normalize_observations: scale observations by their running mean and standard deviation.
      sample_in_evaluation: draw actions from the policy in evaluation too; False: take the most likely
        actions.
    """

    actor: PolicyActor
    learns_from_other_actions = False
    needs_decisions = True
    _has_state_values = True  # whether V(s) is learned

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = MLP,
        shared_torso: bool = False,
        optimizer: Callable[[], Optimizer] = Adam,
        normalize_observations: bool = False,
        sample_in_evaluation: bool = False,
    ):
        name = type(self).__name__
        check_flag(
            name,
            shared_torso=shared_torso,
            normalize_observations=normalize_observations,
            sample_in_evaluation=sample_in_evaluation,
        )
        self._spec = spec
        space, normalizer = spec.observation_space, None
        if normalize_observations:
            normalizer = _normalizer(spec, name)
            space = gymnasium.spaces.Box(-LIMIT, LIMIT, space.shape, np.float32)
        own = seeds.child("network")
        policy = policy_for(own.child("policy"), spec.action_space, name)

        def one_torso(seeds: Seeds) -> Torso:
            return checked_part(name, "torso", torso(seeds), Torso)

        body = own.child("torso")
        network = Network(
            one_torso(body) if shared_torso else TwinTorso(body, one_torso),
            ActorCriticHead(own.child("value"), policy, twin=not shared_torso),
            space,
            spec.stack_size,
        )
        inference = Inference(network)
        self._parts = PolicyParts(
            network,
            policy,
            checked_part(name, "optimizer", optimizer(), Optimizer),
            normalizer,
            inference.parameters,
            spec.action_masks,
        )
        self.actor = PolicyActor(
            inference, policy, seeds, copy.deepcopy(normalizer), sample_in_evaluation
        )

    def _load(self) -> None:
        """Gives the actor the current parameters."""
        parts = self._parts
        network = self.actor.inference.parameters()
        self.actor.load(PolicyParameters.of(network, parts.normalizer))

    def actor_parameters(self) -> PolicyParameters:
        network = self.actor.inference.all_parameters()
        return PolicyParameters.of(network, self._parts.normalizer)

    def start_from(self, state: State) -> None:
        """As `Agent.start_from`. The running statistics of observations count as weights."""
        self._parts.start_from(state)
        self._load()

    def export(self, path: Path, format: str = "savedmodel") -> None:
        """As `Agent.export`: the most likely actions, the policy's outputs and the state's value."""
        if format == "keras":
            raise UserError(
                f"A {type(self).__name__} has two heads, which a sequential Keras model cannot have: "
                "export it with `format` savedmodel."
            )
        network, policy, normalizer = (
            self._parts.network,
            self._parts.policy,
            self._parts.normalizer,
        )

        def greedy(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            if normalizer:
                observations = normalizer.in_graph(observations)
            outputs = network(network.prepare(observations))
            return {
                "actions": policy.exported_mode(outputs[:, :-1]),
                "outputs": outputs[:, :-1],
                "values": outputs[:, -1],
            }

        save_savedmodel(greedy, network.variables, self._spec.observation_space, path)

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        outputs, values = self.actor.policy_and_values(observations, action_masks)
        return Explanation(
            **self._parts.policy.explain(outputs),
            state_values=values if self._has_state_values else None,
        )

    def describe(self) -> dict[str, Any]:
        network = self._parts.network
        torso = network.torso
        return {
            "agent": type(self).__name__,
            "torso": f"2 {torso.kind}" if isinstance(torso, TwinTorso) else type(torso).__name__,
            **network.head.describe(),
            "optimizer": type(self._parts.optimizer).__name__,
            "acting": self.actor.inference.kind,
            "precision": network.precision,
            "normalize_observations": self._parts.normalizer is not None,
            "parameters": network.num_parameters,
        }


def _normalizer(spec: EnvironmentSpec, agent: str) -> ObservationNormalizer:
    """A normalizer of observations; raises UserError if the observations are not numbers."""
    space = spec.observation_space
    if not isinstance(space, gymnasium.spaces.Box | gymnasium.spaces.MultiBinary):
        raise UserError(
            f"{agent}.normalize_observations needs observations in a Box or MultiBinary space, but "
            f"{spec.id} has {space}: bind {agent}.normalize_observations = False."
        )
    assert space.shape is not None
    return ObservationNormalizer(space.shape)
