"""SBX (Stable-Baselines3 on JAX): trains until `clock` has measured it."""

from __future__ import annotations

from typing import Any

from clock import Clock

CLOCK = Clock("SBX", "sbx-rl")
CLOCK.limit_xla_threads()

import jax
from sb3_family import train
from sbx import DQN, PPO


class Learned:
    """Counts the gradient steps of a model's actor or action values."""

    def __init__(self, model: Any):
        policy = model.policy
        self._states = ("actor_state", "vf_state") if isinstance(model, PPO) else ("qf_state",)
        self._policy = policy

    def count(self) -> int:
        return int(getattr(self._policy, self._states[0]).step)

    def parameters(self) -> int:
        states = [getattr(self._policy, name) for name in self._states]
        return sum(leaf.size for each in states for leaf in jax.tree_util.tree_leaves(each.params))


def main() -> None:
    # Its convolutional network has 256 units where all others have 512.
    policy = {"net_arch": [512]} if CLOCK.workload.environment == "Pong" else {}
    train(CLOCK, {"dqn": DQN, "ppo": PPO}, Learned, policy)


if __name__ == "__main__":
    main()
