"""SAC's learner (Haarnoja et al. 2018b): K steps of actor, critics and temperature in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from dopamine_lite.common.checks import check_fraction, check_number, check_positive, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds, generator_state, restore_generator
from dopamine_lite.common.types import State
from dopamine_lite.learning.data_parallel import DataParallel
from dopamine_lite.learning.learner import Learned
from dopamine_lite.losses import sac, td
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.optimizers import Adam, Optimizer, clipped_by_norm
from dopamine_lite.networks.torsos import compiles_update
from dopamine_lite.networks.twin_critics import TwinCritics
from dopamine_lite.replay.replay import Sample, SampleSpec


class SACParts(NamedTuple):
    """The parts that the learner is given."""

    actor: Network  # [B, 2 D], with a `SquashedGaussianPolicy` as its head
    critics: TwinCritics
    targets: TwinCritics  # with the same parameters
    parameters: Callable[[], tf.Tensor]  # makes, in a graph, the actor's parameters


class SACLearner:
    """Minimizes the losses of SAC (Haarnoja et al. 2018b, algorithm 1).

    Args:
      owner: the agent's name, for messages.
      parts: the networks, and the function that makes the actor's parameters.
      sample: the content of the samples.
      seeds: the agent's node in the tree of seeds, for the actions that are drawn in learning.
      actor_optimizer: the optimizer of the policy.
      critic_optimizer: the optimizer of both critics.
      temperature_optimizer: the optimizer of log(alpha).
      tau: the fraction by which the target critics move toward the critics each time; 1: they become
        copies.
      target_update_period: the gradient steps, not agent steps, from one move of the target critics to
        the next.
      initial_temperature: alpha at the start, in units of reward per nat.
      fixed_temperature: alpha, if it is fixed; None: it is learned.
      target_entropy: the mean entropy that alpha aims at, in nats, of actions within [-1, 1]; None:
        minus the number of dimensions of an action.
      max_gradient_norm: the policy's gradients, and the gradients of both critics together, are each
        scaled down to this norm if their global norm is larger; None: never.
    """

    metric_names: Sequence[str] = (
        "critic_loss",
        "policy_loss",
        "q_mean",
        "entropy",
        "temperature",
    )
    shares_batches = True  # among several devices

    def __init__(
        self,
        owner: str,
        parts: SACParts,
        sample: SampleSpec,
        seeds: Seeds,
        *,
        actor_optimizer: Callable[[], Optimizer] = Adam,
        critic_optimizer: Callable[[], Optimizer] = Adam,
        temperature_optimizer: Callable[[], Optimizer] = Adam,
        tau: float = 0.005,
        target_update_period: int = 1,
        initial_temperature: float = 1.0,
        fixed_temperature: float | None = None,
        target_entropy: float | None = None,
        max_gradient_norm: float | None = None,
    ):
        check_fraction(owner, tau=tau)
        if not tau:
            raise UserError(f"{owner}.tau is 0, so the target critics would never move: raise it.")
        check_whole(owner, target_update_period=target_update_period)
        check_positive(owner, initial_temperature=initial_temperature)
        check_positive(
            owner,
            optional=True,
            fixed_temperature=fixed_temperature,
            max_gradient_norm=max_gradient_norm,
        )
        self.parts = parts
        self.learns_temperature = fixed_temperature is None
        self.target_entropy = -float(parts.actor.head.action_size)
        if target_entropy is not None:
            check_number(owner, target_entropy=target_entropy)
            self.target_entropy = float(target_entropy)
            greatest = parts.actor.head.action_size * math.log(2)
            if self.target_entropy >= greatest:
                raise UserError(
                    f"{owner}.target_entropy is {target_entropy}, but no policy reaches it: the entropy "
                    f"of these actions is at most {greatest:.3g} nats. Choose a smaller number."
                )
        self.updates = 0  # gradient steps taken
        self._sample = sample
        self._tau, self._target_update_period = tau, target_update_period
        self._max_gradient_norm = max_gradient_norm
        start = initial_temperature if fixed_temperature is None else fixed_temperature
        self._log_temperature = tf.Variable(math.log(start), dtype=tf.float32)
        self._generator = seeds.generator("noise", "update")  # draws seeds for the graph
        self._devices = DataParallel(sample.batch_size, [parts.actor.head])
        pays = compiles_update(parts.actor.torso)
        self._critic_gradients_of = self._devices.compiled_apart(self._critic_gradients, pays)
        self._policy_gradients_of = self._devices.compiled_apart(self._policy_gradients, pays)
        self._functions: dict[int, Callable[..., tuple[tf.Tensor, ...]]] = {}  # the key: K
        self.optimizers: dict[str, Optimizer] = {}
        for name, make, variables in (
            ("actor", actor_optimizer, parts.actor.variables),
            ("critic", critic_optimizer, parts.critics.variables),
            ("temperature", temperature_optimizer, [self._log_temperature]),
        ):
            if name != "temperature" or self.learns_temperature:
                optimizer = checked_part(owner, f"{name}_optimizer", make(), Optimizer)
                optimizer.build(variables)
                self.optimizers[name] = optimizer

    def learn(self, sample: Sample) -> Learned[tf.Tensor]:
        """Takes K gradient steps, one for each batch of the sample. The metrics are means over these."""
        num_updates = len(sample.actions)
        columns = [sample.returns, sample.discounts]
        if sample.weights is not None:
            columns.append(sample.weights)
        size = (num_updates, 2, 2)
        steps = self.updates + 1 + np.arange(num_updates)
        shares = np.where(steps % self._target_update_period, 0.0, self._tau).astype(np.float32)
        inputs = (
            sample.frames,
            sample.actions,
            np.stack(columns, axis=-1, dtype=np.float32),
            self._generator.integers(2**31, size=size, dtype=np.int32),
            shares,
        )
        metrics, parameters, priorities = self._function(num_updates)(*map(tf.constant, inputs))
        self.updates += num_updates
        return Learned(parameters, metrics, priorities if sample.weights is not None else None)

    def compile(self, *numbers: int) -> None:
        """Compiles `learn` for samples with each of these numbers of batches."""
        for num_updates in numbers:
            self._function(num_updates)

    def learning_rates(self) -> dict[str, float]:
        """The learning rates of the next gradient step, for the log."""
        return {
            f"{name}_learning_rate": optimizer.learning_rate()
            for name, optimizer in self.optimizers.items()
        }

    def get_state(self) -> State:
        return {
            "updates": self.updates,
            "actor": self.parts.actor.get_state(),
            "critics": self.parts.critics.get_state(),
            "targets": self.parts.targets.get_state(),
            "log_temperature": float(self._log_temperature.numpy()),
            "optimizers": {name: each.get_state() for name, each in self.optimizers.items()},
            "generator": generator_state(self._generator),
        }

    def set_state(self, state: State) -> None:
        self.updates = state["updates"]
        self.parts.actor.set_state(state["actor"])
        self.parts.critics.set_state(state["critics"])
        self.parts.targets.set_state(state["targets"])
        self._log_temperature.assign(state["log_temperature"])
        for name, optimizer in self.optimizers.items():
            optimizer.set_state(state["optimizers"][name])
        restore_generator(self._generator, state["generator"])

    def start_from(self, state: State) -> None:
        """Takes the weights of another agent; a temperature that is learned counts as a weight."""
        self.parts.actor.set_state(state["actor"])
        for critics in (self.parts.critics, self.parts.targets):
            critics.set_state(state["critics"])
        if self.learns_temperature:
            self._log_temperature.assign(state["log_temperature"])

    def _function(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        if num_updates not in self._functions:
            self._functions[num_updates] = self._compile(num_updates)
        return self._functions[num_updates]

    def _compile(self, num_updates: int) -> Callable[..., tuple[tf.Tensor, ...]]:
        """K gradient steps in one call."""
        spec, batch = self._sample, [num_updates, self._sample.batch_size]
        weighted, actor = spec.weighted, self.parts.actor

        def update(
            frames: tf.Tensor,
            actions: tf.Tensor,
            scalars: tf.Tensor,
            seeds: tf.Tensor,
            shares: tf.Tensor,
        ) -> tuple[tf.Tensor, ...]:
            total = tf.zeros([len(self.metric_names)])
            priorities = tf.TensorArray(tf.float32, num_updates if weighted else 0)
            # Unrolled, more than two steps would take that many times longer to compile.
            for index in range(num_updates) if num_updates <= 2 else tf.range(num_updates):
                means, errors = self._gradient_step(
                    frames[index], actions[index], scalars[index], seeds[index], shares[index]
                )
                total += means
                if weighted:
                    priorities = priorities.write(index, errors)
            stacked = priorities.stack() if weighted else tf.zeros([0])
            return total / num_updates, self.parts.parameters(), stacked

        return tf.function(
            update,
            jit_compile=self._devices.compiled_together(compiles_update(actor.torso)),
            input_signature=[
                tf.TensorSpec([*batch, *spec.frames_shape], tf.as_dtype(spec.frame_dtype)),
                tf.TensorSpec([*batch, actor.head.action_size], tf.float32),
                tf.TensorSpec([*batch, 3 if weighted else 2], tf.float32),
                tf.TensorSpec([num_updates, 2, 2], tf.int32),
                tf.TensorSpec([num_updates], tf.float32),
            ],
        ).get_concrete_function()

    @tf.autograph.experimental.do_not_convert  # rewriting takes longer than tracing
    def _gradient_step(
        self,
        frames: tf.Tensor,
        actions: tf.Tensor,
        scalars: tf.Tensor,
        seeds: tf.Tensor,
        share: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Takes one step of critics, policy and temperature; returns the metrics and priorities [B].

        Args:
          frames: [B, 2, O] s and s'.
          actions: [B, D]
          scalars: [B, 2 or 3] returns, discounts and, in prioritized replay, importance weights.
          seeds: [2, 2] the seeds of the actions that are drawn in s and in s'.
          share: [] the fraction by which the target critics move.
        """
        _, critics, targets, _ = self.parts
        means, errors = self._devices.run(self._step, [frames, actions, scalars], [seeds])
        for target, online in zip(targets.variables, critics.variables, strict=True):
            target.assign(sac.averaged(target, online, share))
        return means, errors

    @tf.autograph.experimental.do_not_convert
    def _step(
        self, frames: tf.Tensor, actions: tf.Tensor, scalars: tf.Tensor, seeds: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The part of a `_gradient_step` that one of several devices takes."""
        temperature = tf.exp(self._log_temperature)
        gradients, means, errors = self._critic_gradients_of(
            frames, actions, scalars, seeds[1], temperature
        )
        self._apply("critic", gradients)
        gradients, (gradient,), policy_means = self._policy_gradients_of(
            frames[:, 0], seeds[0], temperature
        )
        self._apply("actor", gradients)
        if self.learns_temperature:
            self.optimizers["temperature"].apply(self._devices.averaged([gradient]))
        (critic_loss, value), (policy_loss, entropy) = means, policy_means
        return tf.stack([critic_loss, policy_loss, value, entropy, temperature]), errors

    @tf.autograph.experimental.do_not_convert
    def _critic_gradients(
        self,
        frames: tf.Tensor,
        actions: tf.Tensor,
        scalars: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
    ) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor], tf.Tensor]:
        """Gradients of the critics, their mean loss and value, and priorities [B]."""
        _, critics, targets, _ = self.parts
        states, next_states = frames[:, 0], frames[:, 1]
        returns, discounts, *weights = tf.unstack(scalars, axis=1)
        next_actions, next_logs = self._draw(next_states, seed)
        next_values = sac.soft_values(targets(next_states, next_actions), next_logs, temperature)
        goals = td.td_targets(returns, discounts, next_values)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(critics.variables)
            values = critics(states, actions)
            losses = sac.critic_losses(values, goals)
            # Importance weights belong inside the gradient (Schaul et al. 2016, algorithm 1).
            weighted = tf.reduce_mean(weights[0] * losses if weights else losses)
        means = (tf.reduce_mean(losses), tf.reduce_mean(values))
        errors = tf.reduce_mean(tf.abs(values - goals[:, None]), axis=1)
        return tape.gradient(weighted, critics.variables), means, errors

    @tf.autograph.experimental.do_not_convert
    def _policy_gradients(
        self, states: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor
    ) -> tuple[Sequence[tf.Tensor], Sequence[tf.Tensor], Sequence[tf.Tensor]]:
        """Gradients of the policy and of log(alpha), the mean policy loss and entropy."""
        actor, critics, *_ = self.parts
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(actor.variables)
            drawn, logs = self._draw(states, seed)
            policy_loss = tf.reduce_mean(
                sac.policy_losses(critics(states, drawn), logs, temperature)
            )
        gradients = tape.gradient(policy_loss, actor.variables)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._log_temperature)
            loss = tf.reduce_mean(
                sac.temperature_losses(self._log_temperature, logs, self.target_entropy)
            )
        gradient = tape.gradient(loss, self._log_temperature)
        return gradients, (gradient,), (policy_loss, -tf.reduce_mean(logs))

    def _draw(self, states: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Actions [B, D] that the policy draws, and log pi(a|s) [B]."""
        actor = self.parts.actor
        return actor.head.draw(actor(actor.prepare(states)), seed)

    def _apply(self, name: str, gradients: Sequence[tf.Tensor]) -> None:
        averaged = self._devices.averaged(gradients)
        self.optimizers[name].apply(clipped_by_norm(averaged, self._max_gradient_norm))
