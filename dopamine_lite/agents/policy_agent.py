"""What the agents that learn a policy share: a network of policy and value, and how it acts."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.agents.agent import Agent, Explanation, State, Transitions
from dopamine_lite.common.checks import check_flag, check_positive
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.normalisation import LIMIT, ObservationNormaliser
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.actor import Actor
from dopamine_lite.networks.actor_critic import ActorCriticHead, TwinTorso
from dopamine_lite.networks.export import save_savedmodel
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Optimizer, clipped_by_norm
from dopamine_lite.networks.policies import policy_for
from dopamine_lite.networks.torsos import Torso


class Decision(NamedTuple):
    """What `act` computed in training, for N streams."""

    outputs: np.ndarray  # [N, P] of the policy, illegal actions masked
    values: np.ndarray  # [N] V(s)
    actions: np.ndarray  # [N, D] as drawn


class PolicyAgent(Agent):
    """Acts by a policy network. A subclass says what it remembers and how it learns.

    The arguments are described where they are configured, in the agents.
    """

    _has_state_values = True  # whether V(s) is learned

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso],
        shared_torso: bool,
        optimizer: Callable[[], Optimizer],
        normalise_observations: bool,
        sample_in_evaluation: bool,
        max_gradient_norm: float | None,
    ):
        name = type(self).__name__
        check_positive(name, optional=True, max_gradient_norm=max_gradient_norm)
        check_flag(
            name,
            shared_torso=shared_torso,
            normalise_observations=normalise_observations,
            sample_in_evaluation=sample_in_evaluation,
        )
        self._spec = spec
        self._sample_in_evaluation = sample_in_evaluation
        self._max_gradient_norm = max_gradient_norm
        space = spec.observation_space
        assert space.shape is not None
        self._normaliser = None
        if normalise_observations:
            if not isinstance(space, gymnasium.spaces.Box | gymnasium.spaces.MultiBinary):
                raise UserError(
                    f"{name}.normalise_observations needs observations in a Box or MultiBinary space, "
                    f"but {spec.id} has {space}: bind {name}.normalise_observations = False."
                )
            self._normaliser = ObservationNormaliser(space.shape)
            space = gymnasium.spaces.Box(-LIMIT, LIMIT, space.shape, np.float32)
        own = seeds.child("network")
        self._policy = policy_for(own.child("policy"), spec.action_space, name)

        def one_torso(seeds: Seeds) -> Torso:
            return checked_part(name, "torso", torso(seeds), Torso)

        body = own.child("torso")
        self._network = Network(
            one_torso(body) if shared_torso else TwinTorso(body, one_torso),
            ActorCriticHead(own.child("value"), self._policy, twin=not shared_torso),
            space,
            spec.stack_size,
        )
        self._optimizer = checked_part(name, "optimizer", optimizer(), Optimizer)
        self._optimizer.build(self._network.variables)
        self._actor = Actor(self._network)
        self._generators = {  # by whether it is in evaluation
            False: seeds.generator("actions", "train"),
            True: seeds.generator("actions", "eval"),
        }
        self._decision: Decision | None = None  # of the last `act` in training
        # Compiled in the first step, whose source is the one that was started.
        self._update: Callable[..., tuple[tf.Tensor, ...]] | None = None

    @abc.abstractmethod
    def _remember(self, decision: Decision, transitions: Transitions) -> None:
        """Takes in what `decision` led to, and learns by `_update` where enough has come together."""

    @abc.abstractmethod
    def _compile_update(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """`_update`: what is learned at a time in one call, which returns the actor's parameters and
        metrics."""

    def act(
        self,
        observations: np.ndarray,
        evaluate: bool = False,
        action_masks: np.ndarray | None = None,
    ) -> np.ndarray:
        outputs, values = self._policy_and_values(observations, action_masks)
        if evaluate and not self._sample_in_evaluation:
            likeliest = self._policy.mode(outputs, self._generators[True])
            return self._policy.to_environment(likeliest)
        actions = self._policy.sample(outputs, self._generators[evaluate])
        if not evaluate:
            self._decision = Decision(outputs, values, actions)
        return self._policy.to_environment(actions)

    def observe(self, transitions: Transitions, evaluate: bool = False) -> None:
        if evaluate:
            return
        if self._update is None:
            self._update = self._compile_update()
        assert self._decision is not None
        self._remember(self._decision, transitions)

    def get_state(self) -> State:
        return {
            "network": self._network.get_state(),
            "optimizer": self._optimizer.get_state(),
            "generators": [generator_state(own) for own in self._generators.values()],
            "normaliser": self._normaliser.moments.get_state() if self._normaliser else None,
        }

    def set_state(self, state: State) -> None:
        self._network.set_state(state["network"])
        self._optimizer.set_state(state["optimizer"])
        for own, saved in zip(self._generators.values(), state["generators"], strict=True):
            restore_generator(own, saved)
        if self._normaliser:
            self._normaliser.moments.set_state(state["normaliser"])
        self._actor.load(self._actor.parameters())

    def start_from(self, state: State) -> None:
        """As `Agent.start_from`. The running statistics of observations count as weights."""
        if (self._normaliser is None) != (state["normaliser"] is None):
            raise ValueError(
                "one of the two agents normalizes observations, and the other does not"
            )
        self._network.set_state(state["network"])
        if self._normaliser:
            self._normaliser.moments.set_state(state["normaliser"])
        self._actor.load(self._actor.parameters())

    def export(self, path: Path, as_keras: bool) -> None:
        """As `Agent.export`: the most likely actions, the policy's outputs and the state's value."""
        if as_keras:
            raise UserError(
                f"A {type(self).__name__} has two heads, which a sequential Keras model cannot have: "
                "export it with --format savedmodel."
            )
        space, network, policy = self._spec.observation_space, self._network, self._policy

        def greedy(observations: tf.Tensor) -> dict[str, tf.Tensor]:
            if self._normaliser:
                # Whole numbers may have more digits than float32 holds.
                wide = observations.dtype.is_integer and observations.dtype.size > 2
                numbers = tf.cast(observations, tf.float64 if wide else tf.float32)
                centred = tf.cast(numbers - self._normaliser.moments.mean, tf.float32)
                scaled = centred / self._normaliser.deviation
                observations = tf.clip_by_value(scaled, -LIMIT, LIMIT)
            outputs = network(network.prepare(observations))
            return {
                "actions": policy.exported_mode(outputs[:, :-1]),
                "outputs": outputs[:, :-1],
                "values": outputs[:, -1],
            }

        save_savedmodel(greedy, network.variables, space, path)

    def explain(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> Explanation:
        outputs, values = self._policy_and_values(observations, action_masks)
        return Explanation(
            **self._policy.explain(outputs),
            state_values=values if self._has_state_values else None,
        )

    def describe(self) -> dict[str, Any]:
        torso = self._network.torso
        return {
            "agent": type(self).__name__,
            "torso": f"2 {torso.kind}" if isinstance(torso, TwinTorso) else type(torso).__name__,
            **self._network.head.describe(),
            "optimizer": type(self._optimizer).__name__,
            "acting": self._actor.kind,
            "normalise_observations": self._normaliser is not None,
            "parameters": self._network.num_parameters,
        }

    def _policy_and_values(
        self, observations: np.ndarray, action_masks: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The policy's outputs [N, P] and values [N] for observations [N, ...]."""
        outputs = self._actor(self._normalised(observations))
        policy_outputs = outputs[:, :-1]
        if action_masks is not None:
            policy_outputs = self._policy.mask(policy_outputs, action_masks)
        return policy_outputs, outputs[:, -1]

    def _normalised(self, observations: np.ndarray) -> np.ndarray:
        return self._normaliser(observations) if self._normaliser else observations

    def _in_graph(self, prepared: tf.Tensor, masked: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The policy's outputs [B, P], less the actions that `masked` [B, P] lacks, and values [B]."""
        outputs = self._network(prepared)
        policy_outputs = outputs[:, :-1]
        if self._spec.action_masks:
            policy_outputs = self._policy.mask_as(policy_outputs, masked)
        return policy_outputs, outputs[:, -1]

    def _clipped(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        return clipped_by_norm(gradients, self._max_gradient_norm)
