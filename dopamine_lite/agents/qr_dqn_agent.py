"""QR-DQN (Dabney et al. 2018a): quantiles of returns at fixed fractions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gin
import tensorflow as tf

from dopamine_lite.agents.exploration import EpsilonGreedy, Exploration
from dopamine_lite.agents.value_agent import Batch, Loss, ValueAgent
from dopamine_lite.common.checks import check_not_negative
from dopamine_lite.common.replay.circular_replay import CircularReplay
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.losses import quantile, td
from dopamine_lite.networks.heads import Head, QuantileHead
from dopamine_lite.networks.optimizers import Adam, Optimizer
from dopamine_lite.networks.torsos import NatureCNN, Torso


@gin.configurable
class QRDQNAgent(ValueAgent):
    """QR-DQN (Dabney et al. 2018a): regresses the quantiles of Z(s, a) on R + gamma^n Z_target(s', a*).

    Z(s, a) is the distribution of the return after action a in state s, and a* is the best action in s'.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      torso: the network's body, such as `@NatureCNN` or `@MLP`.
      head: the network's output layers, `@QuantileHead`, whose own parameters set the number of
        quantiles.
      replay: the replay buffer.
      exploration: the strategy that chooses actions by their values.
      optimizer: the optimizer that takes the gradient steps.
      gamma: discount per agent step.
      update_horizon: n, the number of rewards that are summed before bootstrapping.
      min_replay_history: agent steps before the first update.
      update_period: agent steps between updates.
      updates_per_period: gradient steps taken every `update_period` agent steps.
      target_update_period: agent steps between copies of the online network to the target network.
      batch_size: transitions in a gradient step.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives the distribution of its return.
      kappa: the error, in units of return, at which Huber's loss becomes linear; 0: plain quantile loss.
      max_gradient_norm: gradients with a larger global norm are scaled down to this norm; None: never.
    """

    _head_kind = QuantileHead

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        torso: Callable[[Seeds], Torso] = NatureCNN,
        head: Callable[[Seeds, int], Head] = QuantileHead,
        replay: Callable[..., CircularReplay] = CircularReplay,
        exploration: Callable[..., Exploration] = EpsilonGreedy,
        optimizer: Callable[[], Optimizer] = Adam,
        gamma: float = 0.99,
        update_horizon: int = 1,
        min_replay_history: int = 20_000,
        update_period: int = 4,
        updates_per_period: int = 1,
        target_update_period: int = 8_000,
        batch_size: int = 32,
        double: bool = False,
        kappa: float = 1.0,
        max_gradient_norm: float | None = None,
    ):
        check_not_negative("QRDQNAgent", kappa=kappa)
        self._kappa = kappa
        super().__init__(
            spec,
            seeds,
            torso=torso,
            head=head,
            replay=replay,
            exploration=exploration,
            optimizer=optimizer,
            gamma=gamma,
            update_horizon=update_horizon,
            min_replay_history=min_replay_history,
            update_period=update_period,
            updates_per_period=updates_per_period,
            target_update_period=target_update_period,
            batch_size=batch_size,
            double=double,
            max_gradient_norm=max_gradient_norm,
        )

    def _loss(self, batch: Batch) -> Loss:
        head = self._online.head
        next_quantiles = self._target(batch.next_states, batch.seeds.target)
        next_actions = self._next_actions(batch, next_quantiles)
        targets = quantile.targets(batch.returns, batch.discounts, next_quantiles, next_actions)
        quantiles = self._online(batch.states, batch.seeds.online)
        chosen = quantile.select(quantiles, batch.actions)
        taus = tf.broadcast_to(head.taus, tf.shape(chosen))
        values = td.select(head.values(quantiles), batch.actions)
        errors = tf.reduce_mean(targets, axis=1) - values
        losses = quantile.compiled_quantile_huber(chosen, taus, targets, self._kappa)
        return Loss(losses, values, tf.abs(errors))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"kappa": self._kappa}
