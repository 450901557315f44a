"""DQN (Mnih et al. 2015), with double Q-learning, n-step returns and Munchausen targets as options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dopamine_lite.agents.munchausen import Munchausen
from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.value_learner import Batch, Loss
from dopamine_lite.losses import td
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network

_LOSSES = {"huber": td.huber, "squared": td.squared}


@configurable
class DQNAgent(ValueAgent[QHead]):
    """DQN (Mnih et al. 2015): regresses Q(s, a) on R + gamma^n max_a' Q_target(s', a').

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      head: the network's output layers, `@QHead`, whose own parameters make it dueling or noisy.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives its value (van Hasselt et al. 2016, eq. 4).
      loss: the loss of the TD error, "huber" (with delta 1) or "squared".
      munchausen: `@Munchausen` for M-DQN (Vieillard et al. 2020, eq. 2), which needs
        `update_horizon = 1` and `double = False`; None: plain DQN.
    """

    _head_kind = QHead

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        head: Callable[[Seeds, int], QHead] = QHead,
        loss: str = "huber",
        munchausen: Callable[[], Munchausen] | None = None,
        **settings: Any,
    ):
        if loss not in _LOSSES:
            raise UserError(f"DQNAgent.loss is {loss!r}: choose one of {', '.join(_LOSSES)}.")
        self._munchausen = munchausen() if munchausen else None
        self._loss_name = loss
        self._error_loss = _LOSSES[loss]
        super().__init__(spec, seeds, head=head, **settings)
        if self._munchausen:
            self._munchausen.check("DQNAgent", self._update_horizon, self._double)

    def loss(self, online: Network[QHead], target: Network[QHead], batch: Batch) -> Loss:
        seeds = batch.seeds
        next_q = batch.next_legal(target(batch.next_states, seeds.target))
        returns = batch.returns
        if self._munchausen is not None:
            next_values = self._munchausen.soft_values(next_q)
            q = batch.legal(target(batch.states, seeds.policy))
            returns += self._munchausen.bonus(q, batch.actions)
        elif self._double:
            choice = online(batch.next_states, seeds.choice)
            next_values = td.double_q_values(next_q, batch.next_legal(choice))
        else:
            next_values = td.q_learning_values(next_q)
        targets = td.td_targets(returns, batch.discounts, next_values)
        values = td.select(online(batch.states, seeds.online), batch.actions)
        errors = targets - values
        return Loss(self._error_loss(errors), values, tf.abs(errors))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "loss": self._loss_name,
            "munchausen": self._munchausen is not None,
        }
