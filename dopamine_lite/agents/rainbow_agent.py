"""Rainbow (Hessel et al. 2018): six extensions of DQN in one agent, each with a switch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.checks import check_flag, check_not_negative, check_number, check_whole
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.value_learner import Batch, Loss
from dopamine_lite.losses import categorical, td
from dopamine_lite.networks.heads import CategoricalHead, QHead
from dopamine_lite.networks.layers import MOST_UNITS
from dopamine_lite.networks.network import Network
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import Replay, ReplaySpec


@configurable(without=["head"])
class RainbowAgent(ValueAgent):
    """Rainbow (Hessel et al. 2018): six extensions of DQN in one agent, each with a switch.

    The extensions are double Q-learning, prioritized replay, dueling networks, n-step returns,
    distributions of returns (C51) and noisy networks. To switch one of them off, as in the paper's
    ablation (figure 3), bind `double = False`, `replay = @CircularReplay`, `dueling = False`,
    `update_horizon = 1`, `categorical = False` or `noisy = False`. Without noisy networks, only
    `exploration` explores.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      replay: the replay buffer.
      update_horizon: n, the number of rewards that are summed before bootstrapping.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network evaluates it (van Hasselt et al. 2016).
      dueling: the head has separate streams for the state value and the advantages (Wang et al. 2016).
      noisy: the head has noisy linear layers (Fortunato et al. 2018).
      categorical: learn distributions of returns (Bellemare et al. 2017); False: learn action values
        with Huber's loss.
      hidden_units: the units of a hidden layer in each stream of the head; 0: no hidden layer. The paper
        has 512, after a torso that ends with the convolutions (`NatureCNN.hidden_units = 0`).
      num_atoms: the number of atoms of the distributions.
      vmin: the lowest atom, in units of return.
      vmax: the highest atom, in units of return.
      sigma0: the initial noise. The sigma of a noisy layer begins as sigma0 / sqrt(its number of
        inputs).
      initializer: the initializer of the head's layers if they are not noisy, one of "glorot_uniform",
        "dopamine_uniform", "torch_uniform" or "orthogonal".
    """

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        replay: Callable[[ReplaySpec, np.random.Generator], Replay] = PrioritizedReplay,
        update_horizon: int = 3,
        double: bool = True,
        dueling: bool = True,
        noisy: bool = True,
        categorical: bool = True,
        hidden_units: int = 0,
        num_atoms: int = 51,
        vmin: float = -10.0,
        vmax: float = 10.0,
        sigma0: float = 0.5,
        initializer: str = "dopamine_uniform",
        **settings: Any,
    ):
        check_flag("RainbowAgent", dueling=dueling, noisy=noisy, categorical=categorical)
        check_whole("RainbowAgent", least=0, most=MOST_UNITS, hidden_units=hidden_units)
        check_whole("RainbowAgent", least=2, most=MOST_UNITS, num_atoms=num_atoms)
        check_number("RainbowAgent", vmin=vmin, vmax=vmax)
        check_not_negative("RainbowAgent", sigma0=sigma0)
        self._categorical = categorical
        self.priorities_are_td_errors = not categorical  # else divergences
        kind: Callable[..., Any] = QHead
        if categorical:
            kind = functools.partial(CategoricalHead, num_atoms=num_atoms, vmin=vmin, vmax=vmax)
        head = functools.partial(
            kind,
            dueling=dueling,
            noisy=noisy,
            hidden_units=hidden_units,
            sigma0=sigma0,
            initializer=initializer,
        )
        super().__init__(
            spec,
            seeds,
            head=head,
            replay=replay,
            update_horizon=update_horizon,
            double=double,
            **settings,
        )

    def loss(self, online: Network, target: Network, batch: Batch) -> Loss:
        head = online.head
        next_outputs = target(batch.next_states, batch.seeds.target)
        next_actions = self._next_actions(online, batch, next_outputs)
        outputs = online(batch.states, batch.seeds.online)
        values = td.select(head.values(outputs), batch.actions)
        if not self._categorical:
            next_values = td.select(next_outputs, next_actions)
            errors = td.td_targets(batch.returns, batch.discounts, next_values) - values
            return Loss(td.huber(errors), values, tf.abs(errors))
        targets = categorical.targets(
            batch.returns, batch.discounts, next_outputs, next_actions, head.support
        )
        logits = categorical.select(outputs, batch.actions)
        # The divergence is the paper's choice of priority (section "The integrated agent").
        return Loss(
            categorical.cross_entropy(logits, targets),
            values,
            categorical.kl_divergence(logits, targets),
        )

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"categorical": self._categorical}
