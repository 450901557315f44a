"""QR-DQN (Dabney et al. 2018a): quantiles of returns at fixed fractions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.checks import check_not_negative
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.value_learner import Batch, Loss
from dopamine_lite.losses import quantile, td
from dopamine_lite.networks.heads import QuantileHead
from dopamine_lite.networks.network import Network


@configurable
class QRDQNAgent(ValueAgent[QuantileHead]):
    """QR-DQN (Dabney et al. 2018a): regresses the quantiles of Z(s, a) on R + gamma^n Z_target(s', a*).

    Z(s, a) is the distribution of the return after action a in state s, and a* is the best action in s'.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      head: the network's output layers, `@QuantileHead`, whose own parameters set the number of
        quantiles.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives the distribution of its return.
      kappa: the error, in units of return, at which Huber's loss becomes linear; 0: plain quantile loss.
    """

    _head_kind = QuantileHead

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        head: Callable[[Seeds, int], QuantileHead] = QuantileHead,
        kappa: float = 1.0,
        **settings: Any,
    ):
        check_not_negative("QRDQNAgent", kappa=kappa)
        self._kappa = kappa
        super().__init__(spec, seeds, head=head, **settings)

    def loss(
        self, online: Network[QuantileHead], target: Network[QuantileHead], batch: Batch
    ) -> Loss:
        head = online.head
        next_quantiles = target(batch.next_states, batch.seeds.target)
        next_actions = self._next_actions(online, batch, next_quantiles)
        targets = quantile.targets(batch.returns, batch.discounts, next_quantiles, next_actions)
        quantiles = online(batch.states, batch.seeds.online)
        chosen = quantile.select(quantiles, batch.actions)
        taus = tf.broadcast_to(head.taus, tf.shape(chosen))
        values = td.select(head.values(quantiles), batch.actions)
        errors = tf.reduce_mean(targets, axis=1) - values
        losses = quantile.compiled_quantile_huber(chosen, taus, targets, self._kappa)
        return Loss(losses, values, tf.abs(errors))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"kappa": self._kappa}
