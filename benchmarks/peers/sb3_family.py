"""What Stable-Baselines3 and SBX, which have one interface, share: environments, settings, training."""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
from clock import Clock, Learned, NothingLearned
from stable_baselines3.common.env_util import make_atari_env, make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecFrameStack
from workloads import Replayed, Rollouts, Workload

gymnasium.register_envs(ale_py)
ENDLESS = 10**9  # steps


def make_environments(workload: Workload, in_processes: bool) -> VecEnv:
    """One after the other, SB3's default, or each in a process. Pong as in rl-zoo: AtariWrapper."""
    kind = SubprocVecEnv if in_processes else DummyVecEnv
    if workload.environment == "Pong":
        made = make_atari_env("PongNoFrameskip-v4", workload.num_envs, vec_env_cls=kind)
        return VecFrameStack(made, 4)
    if workload.environment.startswith("MinAtar/"):
        from minatar.gym import register_envs

        register_envs()  # version 0 has all six actions
        return make_vec_env(f"{workload.environment}-v0", workload.num_envs, vec_env_cls=kind)
    return make_vec_env(workload.environment, workload.num_envs, vec_env_cls=kind)


def arguments(workload: Workload) -> dict[str, Any]:
    """The arguments of DQN, QRDQN or PPO that give it the settings of the workload."""
    settings, num_envs = workload.settings, workload.num_envs
    if isinstance(settings, Replayed):
        return {
            "learning_rate": settings.learning_rate,
            "buffer_size": settings.replay_capacity,
            "learning_starts": settings.min_replay_history,
            "batch_size": settings.batch_size,
            "gamma": settings.gamma,
            "train_freq": workload.cycle // num_envs,
            "gradient_steps": workload.updates_per_cycle,
            "target_update_interval": settings.target_update_period,
            "exploration_initial_eps": settings.epsilon,
            "exploration_final_eps": settings.epsilon,
        }
    assert isinstance(settings, Rollouts)
    return {
        "learning_rate": settings.learning_rate,
        "n_steps": settings.rollout_length,
        "batch_size": settings.rollout_length * num_envs // settings.num_minibatches,
        "n_epochs": settings.num_epochs,
        "gamma": settings.gamma,
        "gae_lambda": settings.gae_lambda,
        "clip_range": settings.clip,
        "ent_coef": settings.entropy_coefficient,
        "vf_coef": settings.value_coefficient,
        "max_grad_norm": settings.max_gradient_norm,
    }


def train(clock: Clock, kinds: dict[str, Any], learned: Any, policy: dict[str, Any]) -> None:
    """Trains a model of one of the `kinds`, by agent, until the clock ends the process.

    `learned` makes, of the model, what counts its gradient steps.
    """
    workload = clock.workload
    environments = make_environments(workload, in_processes=clock.variant == "processes")
    if workload.agent == "random":
        clock.watch(environments, "step", NothingLearned())
        environments.reset()
        space = environments.action_space
        while True:
            environments.step(np.array([space.sample() for _ in range(workload.num_envs)]))
    if workload.hidden_units:
        policy = policy | {"net_arch": list(workload.hidden_units)}
    model = kinds[workload.agent](
        "CnnPolicy" if workload.environment == "Pong" else "MlpPolicy",
        environments,
        policy_kwargs=policy,
        **arguments(workload),
    )
    place = clock.directory

    def save() -> None:
        model.save(place / "model")
        model.save_replay_buffer(place / "replay")

    if clock.resumes:
        model = kinds[workload.agent].load(place / "model", environments)
        model.load_replay_buffer(place / "replay")
    counted: Learned = learned(model)
    clock.watch(model.env, "step", counted, save)
    model.learn(ENDLESS, reset_num_timesteps=not clock.resumes)
