"""Tianshou 2: trains until `clock` has measured it. Networks and wrappers are those of its examples.

Whenever it has collected, its trainer looks through the whole replay for missing numbers, which takes
the longer the more there is (thu-ml/tianshou#1265). That is left out here; the variant "checked" has it.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
import numpy as np
import torch
from clock import Clock, NothingLearned
from tianshou import algorithm as algorithms
from tianshou.algorithm.modelfree.c51 import C51Policy
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from tianshou.algorithm.modelfree.iqn import IQNPolicy
from tianshou.algorithm.modelfree.qrdqn import QRDQNPolicy
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import (
    Collector,
    CollectStats,
    PrioritizedVectorReplayBuffer,
    VectorReplayBuffer,
)
from tianshou.env import DummyVectorEnv, ShmemVectorEnv
from tianshou.env.atari import atari_network as pong
from tianshou.env.atari.atari_wrapper import AtariEnvFactory
from tianshou.highlevel.env import VectorEnvType
from tianshou.trainer import OffPolicyTrainerParams, OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.discrete import DiscreteActor, DiscreteCritic, ImplicitQuantileNetwork
from torch import nn
from torch_updates import TorchUpdates
from workloads import Replayed, Rollouts, Workload

gymnasium.register_envs(ale_py)
FRAMES = {"c": 4, "h": 84, "w": 84}
STACKED = {"ignore_obs_next": True, "save_only_last_obs": True, "stack_num": 4}
ENDLESS = 10**9  # steps


def make_environments(workload: Workload, variant: str) -> Any:
    """Pong in EnvPool, which Tianshou takes where it is installed, or in processes."""
    if workload.environment != "Pong":
        kind = ShmemVectorEnv if variant == "processes" else DummyVectorEnv
        return kind([lambda: gymnasium.make(workload.environment)] * workload.num_envs)
    factory = AtariEnvFactory(
        "PongNoFrameskip-v4",
        frame_stack=4,
        use_envpool_if_available=variant != "processes",
        venv_type=VectorEnvType.SUBPROC_SHARED_MEM_AUTO,
    )
    return factory.create_envs(workload.num_envs, 1, seed=0).training_envs


def make_value_algorithm(workload: Workload, space: gymnasium.spaces.Discrete) -> Any:
    settings = workload.settings
    assert isinstance(settings, Replayed)
    shared = {
        "optim": AdamOptimizerFactory(lr=settings.learning_rate),
        "gamma": settings.gamma,
        "n_step_return_horizon": settings.update_horizon,
        "target_update_freq": max(  # in updates
            settings.target_update_period * settings.updates_per_period // settings.update_period, 1
        ),
    }
    explores = {"action_space": space, "eps_training": settings.epsilon}
    actions = int(space.n)
    if workload.agent == "dqn":
        net = (
            Net(state_shape=4, action_shape=actions, hidden_sizes=list(workload.hidden_units))
            if workload.hidden_units
            else pong.DQNet(**FRAMES, action_shape=actions)
        )
        policy = DiscreteQLearningPolicy(model=net, **explores)
        return algorithms.DQN(policy=policy, is_double=settings.double, **shared)
    if workload.agent == "qr_dqn":
        policy = QRDQNPolicy(model=pong.QRDQNet(**FRAMES, action_shape=[actions]), **explores)
        return algorithms.QRDQN(policy=policy, num_quantiles=200, **shared)
    if workload.agent == "iqn":
        features = pong.DQNet(**FRAMES, action_shape=[actions], features_only=True)
        net = ImplicitQuantileNetwork(
            preprocess_net=features, action_shape=actions, hidden_sizes=[512], num_cosines=64
        )
        samples = {"sample_size": 32, "online_sample_size": 64, "target_sample_size": 64}
        return algorithms.IQN(policy=IQNPolicy(model=net, **samples, **explores), **shared)
    if workload.agent == "c51":
        policy = C51Policy(model=pong.C51Net(**FRAMES, action_shape=[actions]), **explores)
        return algorithms.C51(policy=policy, **shared)
    policy = C51Policy(model=pong.RainbowNet(**FRAMES, action_shape=[actions]), **explores)
    return algorithms.RainbowDQN(policy=policy, **shared)


def make_ppo(workload: Workload, space: gymnasium.spaces.Discrete, observations: int) -> Any:
    settings, actions = workload.settings, int(space.n)
    assert isinstance(settings, Rollouts)
    if workload.environment == "Pong":
        net = pong.DQNet(
            **FRAMES, action_shape=actions, features_only=True, output_dim_added_layer=512
        )
        nets = [pong.ScaledObsInputActionReprNet(net)] * 2
    else:
        hidden = list(workload.hidden_units)
        nets = [
            Net(state_shape=observations, hidden_sizes=hidden, activation=nn.Tanh) for _ in range(2)
        ]
    actor = DiscreteActor(preprocess_net=nets[0], action_shape=actions, softmax_output=False)
    return algorithms.PPO(
        policy=DiscreteActorPolicy(actor=actor, action_space=space),
        critic=DiscreteCritic(preprocess_net=nets[1]),
        optim=AdamOptimizerFactory(lr=settings.learning_rate, eps=1e-5),
        gamma=settings.gamma,
        gae_lambda=settings.gae_lambda,
        max_grad_norm=settings.max_gradient_norm,
        vf_coef=settings.value_coefficient,
        ent_coef=settings.entropy_coefficient,
        eps_clip=settings.clip,
        value_clip=workload.environment == "Pong",
    )


def endless(workload: Workload, collector: Any) -> dict[str, Any]:
    """What the trainers of both kinds are told."""
    return {
        "training_collector": collector,
        "max_epochs": 1,
        "epoch_num_steps": ENDLESS,
        "collection_step_num_env_steps": workload.cycle,
        "show_progress": False,
    }


def train_on_rollouts(workload: Workload, environments: Any, algorithm: Any) -> None:
    settings, stacks = workload.settings, STACKED if workload.environment == "Pong" else {}
    assert isinstance(settings, Rollouts)
    buffer = VectorReplayBuffer(workload.cycle, workload.num_envs, **stacks)
    buffer.hasnull = lambda: False
    collector = Collector[CollectStats](
        algorithm, environments, buffer, raise_on_nan_in_buffer=False
    )
    collector.reset()
    algorithm.run_training(
        OnPolicyTrainerParams(
            batch_size=workload.cycle // settings.num_minibatches,
            update_step_num_repetitions=settings.num_epochs,
            **endless(workload, collector),
        )
    )


def train_from_replay(clock: Clock, environments: Any, algorithm: Any, updates: Any) -> None:
    workload, place = clock.workload, clock.directory
    settings, stacks = workload.settings, STACKED if workload.environment == "Pong" else {}
    assert isinstance(settings, Replayed)
    kind, prioritized = VectorReplayBuffer, {}
    if workload.agent == "hessel":
        kind, prioritized = PrioritizedVectorReplayBuffer, {"alpha": 0.5, "beta": 0.4}
    buffer = kind(settings.replay_capacity, workload.num_envs, **prioritized, **stacks)

    def save() -> None:
        torch.save({"model": algorithm.state_dict()}, place / "checkpoint.pth")
        buffer.save_hdf5(str(place / "replay.hdf5"))

    if clock.resumes:
        algorithm.load_state_dict(torch.load(place / "checkpoint.pth")["model"])
        buffer = kind.load_hdf5(str(place / "replay.hdf5"))
    checked = clock.variant == "checked"
    if not checked:
        kind.hasnull = lambda _: False  # of the class, since the buffer's own attributes are saved
    clock.watch(environments, "step", updates, save)
    collector = Collector[CollectStats](
        algorithm,
        environments,
        buffer,
        exploration_noise=True,
        raise_on_nan_in_buffer=checked,
    )
    collector.reset(reset_buffer=False)
    collector.collect(n_step=settings.min_replay_history, random=True)
    algorithm.run_training(
        OffPolicyTrainerParams(
            batch_size=settings.batch_size,
            update_step_num_gradient_steps_per_sample=workload.updates_per_cycle / workload.cycle,
            **endless(workload, collector),
        )
    )


def main() -> None:
    clock = Clock("Tianshou", "tianshou")
    updates = TorchUpdates(clock.threads)
    workload = clock.workload
    environments = make_environments(workload, clock.variant)
    space = environments.action_space
    space = space[0] if isinstance(space, list) else space
    if workload.agent == "random":
        clock.watch(environments, "step", NothingLearned())
        environments.reset()
        while True:
            environments.step(np.array([space.sample() for _ in range(workload.num_envs)]))
    if workload.agent == "ppo":
        clock.watch(environments, "step", updates)
        observations = 8 if "Lander" in workload.environment else 4
        train_on_rollouts(workload, environments, make_ppo(workload, space, observations))
    else:
        algorithm = make_value_algorithm(workload, space)
        train_from_replay(clock, environments, algorithm, updates)


if __name__ == "__main__":
    main()
