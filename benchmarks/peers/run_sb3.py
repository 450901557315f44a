"""Stable-Baselines3 (and QR-DQN of sb3-contrib): trains until `clock` has measured it."""

from __future__ import annotations

import gymnasium
import torch
from clock import Clock
from sb3_contrib import QRDQN
from sb3_family import train
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch_updates import TorchUpdates


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


def main() -> None:
    clock = Clock("Stable-Baselines3", "stable-baselines3")
    updates = TorchUpdates(clock.threads)
    is_minatar = clock.workload.environment.startswith("MinAtar/")
    policy = {"features_extractor_class": MinAtarCNN, "net_arch": []} if is_minatar else {}
    train(clock, {"dqn": DQN, "qr_dqn": QRDQN, "ppo": PPO}, lambda _: updates, policy)


if __name__ == "__main__":
    main()
