"""Actors that live apart from the network that learns, as in another process."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.acting.inference import Inference
from dopamine_lite.acting.value_actor import ValueActor
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.network import Network
from dopamine_lite.networks.torsos import MLP

SPACE = gymnasium.spaces.Box(-1, 1, (4,), np.float32)
OBSERVATIONS = np.linspace(-1, 1, 32, dtype=np.float32).reshape(8, 4)


class Compiled(MLP):
    """Without a twin in NumPy."""

    def prepare(self, observations: Any) -> Any:
        return super().prepare(observations) * 2


def network(torso: type[MLP], seed: int) -> Network:
    seeds = Seeds(seed)
    return Network(torso(seeds, (8,)), QHead(seeds, 3), SPACE)


def actor(inference: Inference) -> ValueActor:
    seeds = Seeds(0)
    exploration = EpsilonGreedy(3, 0, seeds.child("exploration"), epsilon_decay_period=0)
    return ValueActor(inference, exploration, seeds, num_envs=8)


@pytest.mark.parametrize("torso", [MLP, Compiled])
def test_a_copy_acts_by_what_it_has_loaded(torso):
    learning, copy = network(torso, seed=1), network(torso, seed=2)
    here, there = actor(Inference(learning)), actor(Inference(copy))
    published = there.inference.all_parameters()  # before anything is loaded: its own
    assert not np.array_equal(published, learning.flat_parameters())
    for _ in range(3):
        for variable in learning.variables:
            variable.assign(variable * 1.5)
        here.load(here.inference.parameters())
        before = there.inference(OBSERVATIONS)
        there.load(here.inference.all_parameters())
        assert not np.array_equal(there.inference(OBSERVATIONS), before)
        np.testing.assert_array_equal(there.inference(OBSERVATIONS), here.inference(OBSERVATIONS))
        np.testing.assert_array_equal(
            there.act(OBSERVATIONS).actions, here.act(OBSERVATIONS).actions
        )


def test_an_actor_is_saved_alone():
    first, second = actor(Inference(network(MLP, 1))), actor(Inference(network(MLP, 1)))
    for _ in range(5):
        first.act(OBSERVATIONS)
    second.set_state(first.get_state())
    assert first.steps == second.steps == 40
    for evaluate in (False, True):
        one, other = (each.act(OBSERVATIONS, evaluate).actions for each in (first, second))
        np.testing.assert_array_equal(one, other)
