"""C51 (Bellemare et al. 2017): distributions of returns over fixed atoms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.configuration.configurable import configurable
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.learning.value_learner import Batch, Loss
from dopamine_lite.losses import categorical, td
from dopamine_lite.networks.heads import CategoricalHead
from dopamine_lite.networks.network import Network


@configurable
class C51Agent(ValueAgent[CategoricalHead]):
    """C51 (Bellemare et al. 2017): moves Z(s, a) toward the projection of R + gamma^n Z_target(s', a*).

    Z(s, a) is the distribution of the return after action a in state s, and a* is the best action in s'.

    Args:
      spec: the environment's specification.
      seeds: the agent's node in the tree of seeds.
      head: the network's output layers, `@CategoricalHead`, whose own parameters set the atoms.
      double: use double Q-learning, in which the online network chooses the next action and the target
        network gives the distribution of its return.
    """

    _head_kind = CategoricalHead
    priorities_are_td_errors = False  # they are divergences

    def __init__(
        self,
        spec: EnvironmentSpec,
        seeds: Seeds,
        *,
        head: Callable[[Seeds, int], CategoricalHead] = CategoricalHead,
        **settings: Any,
    ):
        super().__init__(spec, seeds, head=head, **settings)

    def loss(
        self, online: Network[CategoricalHead], target: Network[CategoricalHead], batch: Batch
    ) -> Loss:
        head = online.head
        next_logits = target(batch.next_states, batch.seeds.target)
        next_actions = self._next_actions(online, batch, next_logits)
        targets = categorical.targets(
            batch.returns, batch.discounts, next_logits, next_actions, head.support
        )
        logits = online(batch.states, batch.seeds.online)
        chosen = categorical.select(logits, batch.actions)
        return Loss(
            categorical.cross_entropy(chosen, targets),
            td.select(head.values(logits), batch.actions),
            categorical.kl_divergence(chosen, targets),
        )
