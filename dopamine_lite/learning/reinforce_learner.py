"""REINFORCE's learner (Williams 1992): one gradient step on a batch of episodes, in chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import (
    check_flag,
    check_not_negative,
    check_positive,
    check_whole,
)
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.memory import require_memory
from dopamine_lite.common.types import State
from dopamine_lite.learning.data_parallel import DataParallel
from dopamine_lite.learning.learner import Learned
from dopamine_lite.learning.policy_parts import PolicyParts
from dopamine_lite.losses import policy_gradient
from dopamine_lite.networks.actor_critic import PolicyParameters, value_variables
from dopamine_lite.networks.optimizers import Adam, Optimizer, clipped_by_norm
from dopamine_lite.replay.episodes import Episode


class Steps(NamedTuple):
    """B steps of any episodes. Steps with weight zero only fill up the array."""

    observations: tf.Tensor  # [B, ...]
    actions: tf.Tensor  # [B, D]
    outputs: tf.Tensor  # [B, P]
    advantages: tf.Tensor  # [B]
    returns: tf.Tensor  # [B]
    weights: tf.Tensor  # [B] the sum of the weights over a whole batch is 1


class ReinforceLearner:
    """Takes a gradient step on -A log pi(a|s) for each batch of episodes.

    Args:
      owner: the agent's name, for messages.
      parts: the network, and what it is trained with.
      learned_baseline: whether A is the return minus the network's value, which is learned too.
      value_coefficient: the weight of the baseline's loss.
      baseline_updates: additional gradient steps that fit only the learned baseline to the same batch.
        They need `learned_baseline = True` and `shared_torso = False`.
      baseline_optimizer: the optimizer that takes the steps of `baseline_updates`.
      entropy_coefficient: the weight of the policy's entropy.
      normalize_advantages: scale A to mean 0 and standard deviation 1 over the batch.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
      chunk_size: the steps that go through the network at a time. It affects memory and speed, and
        results only by rounding.
    """

    shares_batches = True  # among several devices
    metric_names: Sequence[str] = ("policy_loss", "value_loss", "entropy")

    def __init__(
        self,
        owner: str,
        parts: PolicyParts,
        learned_baseline: bool,
        *,
        value_coefficient: float = 0.5,
        baseline_updates: int = 0,
        baseline_optimizer: Callable[[], Optimizer] = Adam,
        entropy_coefficient: float = 0.0,
        normalize_advantages: bool = True,
        max_gradient_norm: float | None = None,
        chunk_size: int = 512,
    ):
        check_flag(owner, normalize_advantages=normalize_advantages)
        check_whole(owner, chunk_size=chunk_size)
        check_whole(owner, least=0, baseline_updates=baseline_updates)
        check_not_negative(
            owner, value_coefficient=value_coefficient, entropy_coefficient=entropy_coefficient
        )
        check_positive(owner, optional=True, max_gradient_norm=max_gradient_norm)
        require_memory(
            parts.network.batch_bytes(chunk_size),
            f"A chunk of {owner}'s steps",
            f"lower {owner}.chunk_size",
        )
        self.parts = parts
        self.baseline_updates = baseline_updates
        self.normalizes_advantages = normalize_advantages
        self._learned_baseline = learned_baseline
        self._value_coefficient = value_coefficient if learned_baseline else 0.0
        self._entropy_coefficient = entropy_coefficient
        self._max_gradient_norm = max_gradient_norm
        self._chunk_size = chunk_size
        self._devices = DataParallel(chunk_size, what=f"the {owner}.chunk_size")
        self._baseline_variables = value_variables(parts.network) if baseline_updates else []
        self._baseline_optimizer = checked_part(
            owner, "baseline_optimizer", baseline_optimizer(), Optimizer
        )
        self._update: Callable[..., tuple[tf.Tensor, ...]] | None = None
        parts.optimizer.build(parts.network.variables)
        self._baseline_optimizer.build(self._baseline_variables)

    def learn(self, episodes: Sequence[Episode]) -> Learned[PolicyParameters]:
        """Takes the gradient steps for a batch of whole episodes."""
        self.compile()
        assert self._update is not None
        whole = Episode(*(np.concatenate(column) for column in zip(*episodes, strict=True)))
        advantages = whole.returns - whole.values if self._learned_baseline else whole.returns
        if self.normalizes_advantages:
            advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        size = len(advantages)
        steps = Steps(
            observations=self.parts.normalized(whole.observations),
            actions=whole.actions,
            outputs=whole.outputs,
            advantages=advantages,
            returns=whole.returns,
            weights=np.full(size, 1.0 / size, np.float32),
        )
        inputs = [_in_chunks(column, self._chunk_size) for column in steps]
        parameters, metrics = self._update(*map(tf.constant, inputs))
        if self.parts.normalizer:
            self.parts.normalizer.moments.update(whole.observations)
        return Learned(PolicyParameters.of(parameters, self.parts.normalizer), metrics)

    def get_state(self) -> State:
        return self.parts.get_state() | {"baseline_optimizer": self._baseline_optimizer.get_state()}

    def set_state(self, state: State) -> None:
        self.parts.set_state(state)
        self._baseline_optimizer.set_state(state["baseline_optimizer"])

    def compile(self) -> None:
        """Compiles what `learn` calls, unless it is compiled already."""
        if self._update is None:
            self._update = self._compiled()

    def _compiled(self) -> Callable[..., tuple[tf.Tensor, ...]]:
        """The gradient steps for any number of chunks of steps, [chunk_size, chunks, ...] each."""
        network, policy = self.parts.network, self.parts.policy
        prepare = tf.function(network.prepare, jit_compile=True, autograph=False)

        def step(
            optimizer: Optimizer,
            variables: Sequence[tf.Variable],
            weights: tuple[float, float, float],
            columns: Sequence[tf.Tensor],
        ) -> tuple[tf.Tensor]:
            """The part of a gradient step that one of several devices takes, with its rows of chunks."""
            gradients = [tf.zeros_like(variable) for variable in variables]
            metrics = tf.zeros([len(self.metric_names)])
            for index in tf.range(tf.shape(columns[0])[1]):
                steps = Steps(*[column[:, index] for column in columns])
                steps = steps._replace(
                    observations=prepare(steps.observations),
                    weights=steps.weights * self._devices.replicas,  # whose losses are averaged
                )
                found, means = self._chunk_gradients(steps, variables, weights)
                gradients = [total + part for total, part in zip(gradients, found, strict=True)]
                metrics += means
            averaged = self._devices.averaged(gradients)
            optimizer.apply(clipped_by_norm(averaged, self._max_gradient_norm))
            return (metrics,)

        def joint(*columns: tf.Tensor) -> tuple[tf.Tensor]:
            weights = (1.0, self._value_coefficient, -self._entropy_coefficient)
            return step(self.parts.optimizer, network.variables, weights, columns)

        def of_baseline(*columns: tf.Tensor) -> tuple[tf.Tensor]:
            weights = (0.0, 1.0, 0.0)
            return step(self._baseline_optimizer, self._baseline_variables, weights, columns)

        def update(*columns: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            (metrics,) = self._devices.run(joint, columns)
            if self.baseline_updates:  # else, several devices would have no gradients to average
                for _ in tf.range(self.baseline_updates):
                    self._devices.run(of_baseline, columns)
            return self.parts.parameters(), metrics

        size, shape = self._chunk_size, network.observation_space.shape
        assert shape is not None
        column = tf.TensorSpec([size, None], tf.float32)
        return tf.function(
            update,
            input_signature=[
                tf.TensorSpec([size, None, *shape], self.parts.input_dtype),
                tf.TensorSpec([size, None, policy.action_size], policy.action_dtype),
                tf.TensorSpec([size, None, policy.size], tf.float32),
                column,
                column,
                column,
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _chunk_gradients(
        self,
        steps: Steps,
        variables: Sequence[tf.Variable],
        weights: tuple[float, float, float],
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """The gradients of the sum of some steps' losses, weighted by `weights`; and these losses."""
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            losses = self._losses(steps)
            loss = tf.add_n(
                [weight * part for weight, part in zip(weights, losses, strict=True) if weight]
            )
        zero = tf.UnconnectedGradients.ZERO  # without a baseline, its variables have no gradients
        gradients = tape.gradient(loss, variables, unconnected_gradients=zero)
        return gradients, tf.stack(losses)

    def _losses(self, steps: Steps) -> list[tf.Tensor]:
        """The losses of some steps, in the order of `metric_names`, summed by the steps' weights."""
        policy = self.parts.policy
        outputs, values = self.parts.outputs(steps.observations, masked=steps.outputs)
        log_probabilities = policy.log_probabilities(outputs, steps.actions)
        drawn = policy.log_probabilities(steps.outputs, steps.actions)
        log_ratios = tf.where(steps.weights > 0, log_probabilities - drawn, 0.0)
        ratios = policy_gradient.ratios(log_ratios)  # 1, except for actions from an older policy
        each = (
            policy_gradient.policy_gradient(log_probabilities, ratios * steps.advantages),
            policy_gradient.value_loss(values, steps.returns, values, clip=None),
            policy.entropies(outputs),
        )
        return [tf.reduce_sum(steps.weights * part) for part in each]


def _in_chunks(column: np.ndarray, size: int) -> np.ndarray:
    """[M, ...] -> [size, chunks, ...]: chunks of rows, the last of which is filled up with zeros."""
    chunks = -(-len(column) // size)
    filled = np.zeros((chunks, size, *column.shape[1:]), column.dtype)
    filled.reshape(chunks * size, *column.shape[1:])[: len(column)] = column
    return filled.swapaxes(0, 1)
