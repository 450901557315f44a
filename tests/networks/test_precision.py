"""Torsos that compute in bfloat16: parameters, features and gradients stay float32."""

from __future__ import annotations

import functools

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.torsos import ImpalaCNN, NatureCNN, SmallCNN
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.replay import Sample

ATARI = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)
SMALL = functools.partial(SmallCNN, layer_norm=True)
TORSOS = [NatureCNN, SMALL, ImpalaCNN]
FRAMES = np.random.default_rng(0).integers(256, size=(1, 4, 5, 84, 84), dtype=np.uint8)


def network(torso, precision: str) -> Network:
    seeds = Seeds(0)
    return Network(torso(seeds, precision=precision), QHead(seeds, 6), ATARI, stack_size=4)


@pytest.mark.parametrize("torso", TORSOS)
def test_outputs_are_those_of_float32_to_two_digits(torso):
    exact, coarse = network(torso, "float32"), network(torso, "bfloat16")
    assert (exact.precision, coarse.precision) == ("float32", "bfloat16")
    for one, other in zip(exact.variables, coarse.variables, strict=True):
        assert other.dtype == tf.float32
        np.testing.assert_array_equal(one, other)
    pictures = tf.constant(FRAMES[0, :, :4])
    features = [each.features(each.prepare(pictures)) for each in (exact, coarse)]
    assert features[1].dtype == tf.float32
    scale = np.abs(features[0]).max()
    np.testing.assert_allclose(features[1], features[0], rtol=0, atol=0.03 * scale)
    assert not np.array_equal(*features)
    outputs = [each(each.prepare(pictures)) for each in (exact, coarse)]
    np.testing.assert_allclose(outputs[1], outputs[0], rtol=0, atol=0.05 * np.abs(outputs[0]).max())


def test_gradients_are_near_those_of_float32():
    found = []
    for precision in ("float32", "bfloat16"):
        net = network(NatureCNN, precision)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(net(net.prepare(tf.constant(FRAMES[0, :, :4]))) - 1.0))
        found.append(tape.gradient(loss, net.variables))
    for one, other in zip(*found, strict=True):
        assert other.dtype == tf.float32
        difference = np.linalg.norm(other - one) / np.linalg.norm(one)
        assert difference < 0.15  # of noise, for which many ReLUs are near their corner


def agent(precision: str) -> DQNAgent:
    return DQNAgent(
        EnvironmentSpec("Pictures", ATARI, gymnasium.spaces.Discrete(6), 1, stack_size=4),
        Seeds(0),
        torso=functools.partial(NatureCNN, precision=precision),
        replay=functools.partial(CircularReplay, replay_capacity=100),
        min_replay_history=10,
        batch_size=4,
    )


def test_an_agent_learns_in_it_repeats_and_says_so():
    def trained() -> list[np.ndarray]:
        made = agent("bfloat16")
        assert made.describe()["precision"] == "bfloat16"
        numbers = np.zeros((1, 4), np.float32)
        actions, slots = np.zeros((1, 4), np.int32), np.zeros((1, 4), np.int64)
        sample = Sample(FRAMES, actions, numbers + 1, numbers, slots, slots)
        for _ in range(5):
            learned = made.learner.learn(sample)
        assert learned.metrics[0] < 1.0
        return [variable.numpy() for variable in made.learner.online.variables]

    for one, other in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_exported_policy_computes_in_it(tmp_path):
    made = agent("bfloat16")
    made.export(tmp_path / "policy")
    policy = tf.saved_model.load(str(tmp_path / "policy"))
    pictures = FRAMES[0, :, :4]
    found = policy.signatures["serving_default"](tf.constant(pictures))["actions"]
    np.testing.assert_array_equal(found, made.actor.inference(pictures).argmax(1))


@pytest.mark.parametrize("torso", [NatureCNN, SmallCNN, ImpalaCNN])
def test_an_unknown_precision_is_refused(torso):
    with pytest.raises(UserError, match=f"{torso.__name__}.precision is 'half': choose one of"):
        torso(Seeds(0), precision="half")
