"""What convolutions leave unread of a picture, where a stride does not fit its size."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.torsos import (
    MLP,
    DictTorso,
    MinAtarCNN,
    NatureCNN,
    SmallCNN,
    unread,
)
from dopamine_lite.spaces.packed_space import PackedSpace


def space_of(size: int) -> gymnasium.spaces.Box:
    return gymnasium.spaces.Box(0, 1, (size, size, 2), np.float32)


def network_of(torso: Any, size: int) -> Network:
    return Network(torso(Seeds(0)), QHead(Seeds(1), 3), space_of(size))


def rows_read(network: Network, size: int) -> list[bool]:
    """Whether any feature depends on each row of a picture, by the gradient."""
    read = np.zeros(size, bool)
    for seed in range(4):  # so that a ReLU that is zero for one picture does not hide a row
        drawn = np.random.default_rng(seed).random((4, size, size, 2), dtype=np.float32)
        pictures = tf.constant(drawn)
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            features = network.torso.layers(network.prepare(pictures))
            total = tf.reduce_sum(features * tf.random.stateless_normal(features.shape, [seed, 0]))
        read |= np.abs(tape.gradient(total, pictures)).max(axis=(0, 2, 3)) > 0
    return read.tolist()


DATA_EFFICIENT = functools.partial(NatureCNN, convolutions=((32, 5, 5), (64, 5, 5)))


@pytest.mark.parametrize(
    ("torso", "size", "unread"),
    [
        (NatureCNN, 84, 0),
        (NatureCNN, 96, 4),  # CarRacing's pictures
        (DATA_EFFICIENT, 84, 9),  # as in the paper
        (MinAtarCNN, 10, 0),
    ],
)
def test_what_is_unread_is_told(torso, size, unread):
    network = network_of(torso, size)
    assert rows_read(network, size) == [True] * (size - unread) + [False] * unread
    assert getattr(network.torso, "unread", (0, 0)) == (unread, unread)


@pytest.mark.parametrize("size", [5, 6, 9, 10, 11, 16])
def test_a_small_cnn_reads_everything(size):
    """At 10 x 10, the stride would leave the last row unread, which is the paddle's in Breakout."""
    network = network_of(SmallCNN, size)
    assert all(rows_read(network, size))
    assert network.torso.unread == (0, 0)


@pytest.mark.parametrize("torso", [NatureCNN, SmallCNN])
@pytest.mark.parametrize("size", [9, 10, 11])
@pytest.mark.parametrize(
    "convolutions", [((8, 1, 2),), ((8, 3, 1), (8, 2, 3)), ((8, 2, 3), (8, 3, 2))]
)
def test_gaps_are_told(torso, size, convolutions):
    """A stride above its kernel's size leaves rows unread in between, with zeros at the end or not."""
    network = network_of(functools.partial(torso, convolutions=convolutions), size)
    gaps = rows_read(network, size).count(False)
    assert network.torso.unread == (gaps, gaps)


def test_a_picture_that_fits_is_not_enlarged():
    drawn = np.random.default_rng(0).random((1, 9, 11, 2), dtype=np.float32)
    space = gymnasium.spaces.Box(0, 1, (9, 11, 2), np.float32)
    network = Network(SmallCNN(Seeds(0)), QHead(Seeds(1), 3), space)
    np.testing.assert_array_equal(network.prepare(tf.constant(drawn)), drawn)
    ten = network_of(SmallCNN, 10)
    prepared = ten.prepare(tf.ones([1, 10, 10, 2])).numpy()
    assert prepared.shape == (1, 11, 11, 2)
    assert (
        prepared[:, :10, :10].all() and not prepared[:, 10].any() and not prepared[:, :, 10].any()
    )


def test_an_agent_tells_what_it_leaves_unread():
    def made(agent: Any, size: int) -> dict[str, Any]:
        actions = gymnasium.spaces.Discrete(3)
        spec = EnvironmentSpec("Pictures", space_of(size), actions, num_envs=1)
        return agent(spec, Seeds(0), torso=NatureCNN).describe()

    shared = functools.partial(PPOAgent, shared_torso=True, rollout_length=8, num_minibatches=1)
    apart = functools.partial(shared, shared_torso=False)
    for agent in (DQNAgent, shared, apart):
        assert made(agent, 96)["unread"] == "4 rows and 4 columns"
        assert "unread" not in made(agent, 84)


def test_entries_tell_what_they_leave_unread():
    spaces = gymnasium.spaces
    entries = spaces.Dict(
        {"far": space_of(84), "near": space_of(96), "speed": spaces.Box(0, 1, (3,))}
    )
    torsos = {"far": NatureCNN, "near": NatureCNN, "speed": MLP}
    packed = PackedSpace.of(entries, "Own-v0")
    network = Network(DictTorso(Seeds(0), torsos), QHead(Seeds(1), 3), packed)
    assert unread(network.torso) == {"unread": "near: 4 rows and 4 columns"}


def test_a_single_row_is_no_plural():
    space = gymnasium.spaces.Box(0, 1, (37, 36, 2), np.float32)
    network = Network(NatureCNN(Seeds(0)), QHead(Seeds(1), 3), space)
    assert unread(network.torso) == {"unread": "1 row"}
