"""Stable-Baselines3 (and QR-DQN of sb3-contrib): trains until `clock` has measured it."""

from __future__ import annotations

from clock import Clock, NothingLearned

import ale_py
import gymnasium
import numpy as np
import stable_baselines3
import torch
from minatar.gym import register_envs
from sb3_contrib import QRDQN
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack
from torch_updates import TorchUpdates
from workloads import Replayed, Rollouts, Workload

gymnasium.register_envs(ale_py)
ENDLESS = 10**9  # steps


class MinAtarCNN(BaseFeaturesExtractor):
    """The network of Young and Tian (2019): a 3 x 3 convolution with 16 filters, then 128 units."""

    def __init__(self, space: gymnasium.Space):
        super().__init__(space, 128)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(space.shape[-1], 16, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 8 * 8, 128),
            torch.nn.ReLU(),
        )

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        return self.layers(observations.permute(0, 3, 1, 2))


def make_environments(workload: Workload, in_processes: bool) -> VecEnv:
    """One after the other, SB3's default, or each in a process. Pong as in rl-zoo: AtariWrapper."""
    kind = SubprocVecEnv if in_processes else DummyVecEnv
    if workload.environment == "Pong":
        made = make_atari_env("PongNoFrameskip-v4", workload.num_envs, vec_env_cls=kind)
        return VecFrameStack(made, 4)
    if workload.environment.startswith("MinAtar/"):
        register_envs()
        return make_vec_env(f"{workload.environment}-v0", workload.num_envs, vec_env_cls=kind)
    return make_vec_env(workload.environment, workload.num_envs, vec_env_cls=kind)


def make_value_agent(workload: Workload, environments: VecEnv) -> DQN:
    settings = workload.settings
    assert isinstance(settings, Replayed)
    policy = {"net_arch": list(workload.hidden_units)}
    kind, name = {"dqn": DQN, "qr_dqn": QRDQN}[workload.agent], "MlpPolicy"
    if workload.environment == "Pong":
        name = "CnnPolicy"
    if workload.environment.startswith("MinAtar/"):
        policy |= {"features_extractor_class": MinAtarCNN}
    period = settings.update_period // workload.num_envs or 1
    updates = max(workload.num_envs // settings.update_period, 1) * settings.updates_per_period
    return kind(
        name,
        environments,
        learning_rate=settings.learning_rate,
        buffer_size=settings.replay_capacity,
        learning_starts=settings.min_replay_history,
        batch_size=settings.batch_size,
        gamma=settings.gamma,
        train_freq=period,
        gradient_steps=updates,
        target_update_interval=settings.target_update_period,
        exploration_initial_eps=settings.epsilon,
        exploration_final_eps=settings.epsilon,
        policy_kwargs=policy,
    )


def make_ppo(workload: Workload, environments: VecEnv) -> PPO:
    settings = workload.settings
    assert isinstance(settings, Rollouts)
    return PPO(
        "CnnPolicy" if workload.environment == "Pong" else "MlpPolicy",
        environments,
        learning_rate=settings.learning_rate,
        n_steps=settings.rollout_length,
        batch_size=settings.rollout_length * workload.num_envs // settings.num_minibatches,
        n_epochs=settings.num_epochs,
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        clip_range=settings.clip,
        ent_coef=settings.entropy_coefficient,
        vf_coef=settings.value_coefficient,
        max_grad_norm=settings.max_gradient_norm,
    )


def play_at_random(environments: VecEnv) -> None:
    environments.reset()
    space = environments.action_space
    while True:
        environments.step(np.array([space.sample() for _ in range(environments.num_envs)]))


def main() -> None:
    clock = Clock("Stable-Baselines3", stable_baselines3.__version__)
    updates = TorchUpdates(clock.threads)
    workload = clock.workload
    environments = make_environments(workload, in_processes=clock.variant == "processes")
    if workload.agent == "random":
        clock.watch(environments, "step", NothingLearned())
        play_at_random(environments)
    make = make_ppo if workload.agent == "ppo" else make_value_agent
    model = make(workload, environments)
    clock.watch(model.env, "step", updates)
    model.learn(ENDLESS)


if __name__ == "__main__":
    main()
