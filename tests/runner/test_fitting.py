"""Which agents and torsos an environment is for: what can be built on it, and what the others say."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.runner import fitting
from dopamine_lite.spaces.packed_space import PackedSpace

ROW = spaces.Box(-1, 1, (3,), np.float32)
VALUES = {
    "C51Agent",
    "DQNAgent",
    "DopamineAdapter",
    "IQNAgent",
    "PQNAgent",
    "QRDQNAgent",
    "RainbowAgent",
}
POLICIES = {"PPOAgent", "ReinforceAgent"}
BOUNDED = {"SACAgent"}  # boxes of actions with bounds
TABLES = {"DoubleQLearningAgent", "QLearningAgent", "SarsaAgent"}


def spec(
    observations: gymnasium.Space, actions: gymnasium.Space | None = None, stack_size: int = 1
) -> EnvironmentSpec:
    return EnvironmentSpec("X-v0", observations, actions or spaces.Discrete(2), 2, stack_size)


@pytest.mark.parametrize(
    ("observations", "actions", "fits"),
    [
        (ROW, spaces.Discrete(2), VALUES | POLICIES),
        pytest.param(
            *(ROW, spaces.Discrete(2, start=5), VALUES | POLICIES), marks=pytest.mark.exhaustive
        ),
        (spaces.Discrete(4), spaces.Discrete(2), VALUES | POLICIES | TABLES),
        (ROW, spaces.Box(-1, 1, (2,)), POLICIES | BOUNDED),
        (spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), POLICIES),
        (ROW, spaces.MultiBinary(3), set()),
    ],
)
def test_agents(observations, actions, fits):
    found = fitting.agents_for(spec(observations, actions))
    assert set(found.fits) == fits | {"RandomAgent"}
    assert set(found.refusals) == (VALUES | POLICIES | BOUNDED | TABLES) - fits
    for sentence in found.refusals.values():
        assert "X-v0" in sentence or "action space" in sentence
        assert "\n" not in sentence


@pytest.mark.parametrize(
    ("observations", "stack_size", "fits"),
    [
        (ROW, 1, "MLP"),
        (spaces.Discrete(4), 1, "MLP"),
        (
            spaces.Box(0, 255, (40, 40, 3), np.uint8),
            1,
            "NatureCNN SmallCNN ImpalaCNN MinAtarCNN MLP",
        ),
        (spaces.Box(0, 255, (20, 20), np.uint8), 1, "SmallCNN ImpalaCNN MinAtarCNN MLP"),
        (spaces.Box(0, 255, (4, 3, 3), np.uint8), 4, "ImpalaCNN MinAtarCNN MLP"),
        (PackedSpace.of(spaces.Dict(a=spaces.Discrete(3), b=ROW), "X-v0"), 1, "MLP DictTorso"),
    ],
)
def test_torsos(observations, stack_size, fits):
    found = fitting.torsos_for(spec(observations, stack_size=stack_size))
    assert " ".join(found.fits) == fits
    assert len(found.fits) + len(found.refusals) == 6
