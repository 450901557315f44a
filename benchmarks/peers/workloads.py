"""What is measured: the settings that this framework and its peers are all given, as data.

It is imported in the virtual environment of each framework, so it needs only the standard library.
All periods are in agent steps, over all environments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Replayed:
    """Settings of an agent that learns from a replay."""

    batch_size: int
    update_period: int
    target_update_period: int
    replay_capacity: int  # transitions
    min_replay_history: int  # steps before the first update, few, as they are not measured
    learning_rate: float
    updates_per_period: int = 1
    epsilon: float = 0.01  # as soon as learning begins
    gamma: float = 0.99
    update_horizon: int = 1
    double: bool = False
    max_gradient_norm: float | None = None


@dataclass(frozen=True)
class Rollouts:
    """Settings of PPO."""

    rollout_length: int
    num_epochs: int
    num_minibatches: int
    learning_rate: float
    gamma: float
    gae_lambda: float
    clip: float
    entropy_coefficient: float
    value_coefficient: float = 0.5
    max_gradient_norm: float = 0.5


_OUTPUTS: dict[str, Callable[[int], int]] = {  # of the network, by the number of actions
    "dqn": lambda actions: actions,
    "c51": lambda actions: 51 * actions,
    "ppo": lambda actions: actions + 1,
}
_NATURE = (  # multiplications of a layer: places x inputs of each x channels
    20 * 20 * (8 * 8 * 4) * 32,
    9 * 9 * (4 * 4 * 32) * 64,
    7 * 7 * (3 * 3 * 64) * 64,
    3_136 * 512,
)


@dataclass(frozen=True)
class Workload:
    """One row of the table: an agent in an environment, and who is measured with it."""

    title: str
    agent: (
        str  # "dqn", "c51", "qr_dqn", "iqn", "rainbow", "hessel" (all of Rainbow), "ppo", "random"
    )
    environment: str  # a Gymnasium id, or a game of Atari or MinAtar
    num_envs: int
    config: str  # ours
    peers: tuple[str, ...]
    settings: Replayed | Rollouts | None  # None: nothing learns
    hidden_units: tuple[
        int, ...
    ] = ()  # of the network; (): the usual convolutions of the environment

    @property
    def cycle(self) -> int:
        """Agent steps after which acting, storing and learning have all come around."""
        if isinstance(self.settings, Replayed):
            return max(self.settings.update_period, self.num_envs)
        if isinstance(self.settings, Rollouts):
            return self.settings.rollout_length * self.num_envs
        return 100 * self.num_envs

    @property
    def updates_per_cycle(self) -> int:
        """Gradient steps in a cycle."""
        if isinstance(self.settings, Replayed):
            return self.cycle // self.settings.update_period * self.settings.updates_per_period
        if isinstance(self.settings, Rollouts):
            return self.settings.num_epochs * self.settings.num_minibatches
        return 0

    @property
    def operations(self) -> int | None:
        """Floating-point operations of an update, multiplications and additions; None: not counted.

        These are the matrix products and convolutions of the networks of DQN, C51 and PPO: forward
        passes, and the gradients of all parameters and of every layer's input except the first layer's.
        DQN and C51 pass s and s' forward, and s' twice with double Q-learning. PPO passes s forward, and
        every state of a rollout once before that, to act.
        """
        layers = self._layers
        if layers is None:
            return None
        forward, backward = sum(layers), 2 * sum(layers) - layers[0]
        if isinstance(self.settings, Rollouts):
            batch = self.cycle // self.settings.num_minibatches
            acted = self.cycle // self.updates_per_cycle  # states for each update
            return 2 * (batch * (forward + backward) + acted * forward)
        assert self.settings is not None
        passes = (3 if self.settings.double else 2) * forward + backward
        return 2 * self.settings.batch_size * passes

    @property
    def _layers(self) -> list[int] | None:
        """Multiplications of each layer, for one state; None: they are not counted."""
        outputs = _OUTPUTS.get(self.agent)
        if outputs is None:
            return None
        if self.environment == "CartPole-v1" and self.agent != "ppo":  # which has two networks
            sizes = (4, *self.hidden_units, outputs(2))
            return [before * after for before, after in itertools.pairwise(sizes)]
        return [*_NATURE, 512 * outputs(6)] if self.environment == "Pong" else None

    @property
    def warmup(self) -> int:
        """Agent steps before anything is measured: compiling and the first updates are over."""
        first = self.settings.min_replay_history if isinstance(self.settings, Replayed) else 0
        counted_otherwise = 100 if first else 0  # some count the transitions that they have stored
        return ((first + counted_otherwise) // self.cycle + 3) * self.cycle


def holding(workload: Workload, frames: int) -> Workload:
    """The workload with a replay of so many frames, which random play fills before any learning."""
    assert isinstance(workload.settings, Replayed)
    later = frames + 50_000
    settings = replace(workload.settings, replay_capacity=frames, min_replay_history=later)
    return replace(workload, settings=replace(settings, epsilon=1.0))


ATARI = ("sb3", "tianshou", "cleanrl", "dopamine")

_ALL = ("sb3", "sbx", *ATARI[1:], "tianshou_checked", "dopamine_same")

# rl-baselines3-zoo, hyperparams/dqn.yml and ppo.yml, at commit 22e3ff2; SB3 clips gradients to norm 10.
_ZOO_DQN = Replayed(
    batch_size=64,
    update_period=256,
    updates_per_period=128,
    target_update_period=10,
    replay_capacity=100_000,
    min_replay_history=1_000,
    learning_rate=2.3e-3,
    epsilon=0.04,
    max_gradient_norm=10.0,
)
# google/dopamine 4.1, dopamine/jax/agents/dqn/configs/dqn_cartpole.gin.
_DOPAMINE_DQN = Replayed(
    batch_size=128,
    update_period=4,
    target_update_period=100,
    replay_capacity=50_000,
    min_replay_history=500,
    learning_rate=1e-3,
)
# vwxyzjn/cleanrl, cleanrl/dqn.py and c51.py, whose networks are fixed.
_CLEANRL_DQN = Replayed(
    batch_size=128,
    update_period=10,
    target_update_period=500,
    replay_capacity=10_000,
    min_replay_history=1_000,
    learning_rate=2.5e-4,
    epsilon=0.05,
)
# The schedule that Dopamine, SB3's zoo, CleanRL and Tianshou share on Atari.
_ATARI_DQN = Replayed(
    batch_size=32,
    update_period=4,
    target_update_period=8_000,
    replay_capacity=50_000,
    min_replay_history=2_000,
    learning_rate=6.25e-5,
)
_DOUBLE = replace(_ATARI_DQN, double=True)
_THREE_STEPS = replace(_ATARI_DQN, update_horizon=3)
_THREE_DOUBLE = replace(_THREE_STEPS, double=True)
_ZOO_PPO = Rollouts(
    rollout_length=32,
    num_epochs=20,
    num_minibatches=1,
    learning_rate=1e-3,
    gamma=0.98,
    gae_lambda=0.8,
    clip=0.2,
    entropy_coefficient=0.0,
)
_LANDER_PPO = Rollouts(
    rollout_length=1_024,
    num_epochs=4,
    num_minibatches=256,
    learning_rate=3e-4,
    gamma=0.999,
    gae_lambda=0.98,
    clip=0.2,
    entropy_coefficient=0.01,
)
_ATARI_PPO = Rollouts(
    rollout_length=128,
    num_epochs=4,
    num_minibatches=4,
    learning_rate=2.5e-4,
    gamma=0.99,
    gae_lambda=0.95,
    clip=0.1,
    entropy_coefficient=0.01,
)


def _pong(
    agent: str, title: str, num_envs: int, config: str, peers: tuple[str, ...], settings: Replayed
) -> Workload:
    count = "1 environment" if num_envs == 1 else f"{num_envs} environments"
    return Workload(f"{title}, Pong, {count}", agent, "Pong", num_envs, config, peers, settings)


WORKLOADS = {
    "cartpole_dqn_zoo": Workload(
        "DQN, CartPole, settings of rl-zoo",
        *("dqn", "CartPole-v1", 1, "dqn/cartpole.gin", ("sb3", "sbx", "tianshou")),
        _ZOO_DQN,
        (256, 256),
    ),
    "cartpole_dqn_dopamine": Workload(
        "DQN, CartPole, settings of Dopamine",
        *("dqn", "CartPole-v1", 1, "dqn/cartpole.gin", ("dopamine", "sb3", "sbx", "tianshou")),
        _DOPAMINE_DQN,
        (512, 512),
    ),
    "cartpole_dqn_cleanrl": Workload(
        "DQN, CartPole, settings of CleanRL",
        *("dqn", "CartPole-v1", 1, "dqn/cartpole.gin", ("cleanrl",)),
        _CLEANRL_DQN,
        (120, 84),
    ),
    "cartpole_c51_cleanrl": Workload(
        "C51, CartPole, settings of CleanRL",
        *("c51", "CartPole-v1", 1, "c51/cartpole.gin", ("cleanrl",)),
        _CLEANRL_DQN,
        (120, 84),
    ),
    "cartpole_ppo_zoo": Workload(
        "PPO, CartPole, settings of rl-zoo",
        *("ppo", "CartPole-v1", 8, "ppo/cartpole.gin", ("sb3", "sbx", "tianshou", "cleanrl")),
        _ZOO_PPO,
        (64, 64),
    ),
    "lunar_lander_ppo_zoo": Workload(
        "PPO, LunarLander, settings of rl-zoo",
        *("ppo", "LunarLander-v3", 16, "ppo/lunar_lander.gin", ("sb3", "sbx", "tianshou")),
        _LANDER_PPO,
        (64, 64),
    ),
    "minatar_dqn": Workload(
        "DQN, MinAtar Breakout, 8 environments",
        *("dqn", "MinAtar/Breakout", 8, "dqn/minatar.gin", ("sb3",)),
        Replayed(
            batch_size=32,
            update_period=32,
            updates_per_period=8,
            target_update_period=1_000,
            replay_capacity=100_000,
            min_replay_history=1_000,
            learning_rate=2.5e-4,
        ),
    ),
    "pong_dqn": _pong("dqn", "DQN", 1, "dqn/atari.gin", _ALL, _ATARI_DQN),
    "pong_dqn_8": _pong("dqn", "DQN", 8, "dqn/atari.gin", ("sb3", "sbx", "tianshou"), _ATARI_DQN),
    "pong_c51": _pong("c51", "C51", 1, "c51/atari.gin", ("cleanrl", "dopamine"), _ATARI_DQN),
    "pong_c51_double": _pong("c51", "double C51", 1, "c51/atari.gin", ("tianshou",), _DOUBLE),
    "pong_c51_double_8": _pong("c51", "double C51", 8, "c51/atari.gin", ("tianshou",), _DOUBLE),
    "pong_qr_dqn": _pong("qr_dqn", "QR-DQN", 1, "qr_dqn/atari.gin", ("sb3",), _ATARI_DQN),
    "pong_rainbow": _pong(
        *("rainbow", "Rainbow of Dopamine", 1, "rainbow/atari.gin", ("dopamine",), _THREE_STEPS)
    ),
    "pong_hessel": _pong(
        *("hessel", "Rainbow", 1, "rainbow/atari_hessel.gin", ("tianshou", "cleanrl")),
        _THREE_DOUBLE,
    ),
    "pong_hessel_8": _pong(
        "hessel", "Rainbow", 8, "rainbow/atari_hessel.gin", ("tianshou",), _THREE_DOUBLE
    ),
    "pong_iqn": _pong("iqn", "IQN", 1, "iqn/atari.gin", ("dopamine",), _THREE_STEPS),
    "pong_iqn_double": _pong("iqn", "double IQN", 1, "iqn/atari.gin", ("tianshou",), _THREE_DOUBLE),
    "pong_iqn_double_8": _pong(
        "iqn", "double IQN", 8, "iqn/atari.gin", ("tianshou",), _THREE_DOUBLE
    ),
    "pong_ppo": Workload(
        "PPO, Pong, 8 environments",
        *("ppo", "Pong", 8, "ppo/atari_ppo2.gin", ("sb3", "tianshou", "cleanrl")),
        _ATARI_PPO,
    ),
    "pong_steps": Workload(
        "environment alone, Pong, 1 environment",
        *("random", "Pong", 1, "random/atari.gin", ATARI),
        None,
    ),
    "pong_steps_8": Workload(
        "environment alone, Pong, 8 environments",
        *("random", "Pong", 8, "random/atari.gin", ("sb3", "tianshou", "cleanrl")),
        None,
    ),
}
