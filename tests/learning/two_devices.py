"""An agent that learns on two devices, beside one that learns the same on one; run as a program.

TensorFlow divides the CPU only before it begins, so this needs a process of its own. It is called with
the devices, such as cpu:0,1, and the name of a case, and prints, as JSON, what came out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from functools import partial
from typing import Any

from dopamine_lite.configuration.devices import tensorflow_devices
from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads

import_tensorflow()
DEVICES = tensorflow_devices(sys.argv[1])
tensorflow_threads(1)

import gymnasium
import numpy as np
import tensorflow as tf

from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.agents.sac_agent import SACAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.augmentation import RandomShift
from dopamine_lite.networks.heads import QHead
from dopamine_lite.networks.torsos import SmallCNN
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import Sample
from tests.agents import continuous
from tests.agents.tiny import Identity, spec
from tests.learning.agents import AGENTS, VALUE


def fresh(name: str) -> Any:
    if name == "sac":
        replay = partial(PrioritizedReplay, replay_capacity=100)
        return continuous.build(replay=replay, max_gradient_norm=0.1)
    return AGENTS[name](spec(num_envs=2), Seeds(0))


def played(name: str, together: bool) -> Any:
    """An agent of a case that has learned from 64 steps of each of 2 environments."""
    with DEVICES.scope() if together else contextlib.nullcontext():
        agent = fresh(name)
    (continuous.Reach if name == "sac" else Identity)(2).play(agent, 64)
    return agent


def variables(agent: Any) -> list[Any]:
    learner = agent.learner
    assert learner.shares_batches
    if isinstance(agent, SACAgent):
        actor, critics, targets, _ = learner.parts
        return [*actor.variables, *critics.variables, *targets.variables]
    has_policy = isinstance(agent, PPOAgent | ReinforceAgent)
    network = learner.parts.network if has_policy else agent._network
    return list(network.variables)


def in_one_row(agent: Any) -> np.ndarray:
    return np.concatenate([each.numpy().ravel() for each in variables(agent)])


def learned(agent: Any) -> np.ndarray:
    """The numbers of what an agent has learned, in one row, with priorities and metrics."""
    state = agent.get_state()
    kept = {key: value for key, value in state.items() if key not in _DRAWN}
    kept |= {key: value for key, value in state.get("replay", {}).items() if key not in _DRAWN}
    return np.concatenate([_numbers(kept), _numbers(agent.metrics())])


_DRAWN = ("generator", "noise", "order", "replay", "rollout", "slots")


def _numbers(tree: Any) -> np.ndarray:
    if isinstance(tree, dict | list | tuple):
        each = tree.values() if isinstance(tree, dict) else tree
        return np.concatenate([np.zeros(0), *map(_numbers, each)])
    return (
        np.zeros(0)
        if tree is None or isinstance(tree, str)
        else np.asarray(tree, np.float64).ravel()
    )


def compared(name: str) -> dict[str, Any]:
    alone, first, second = (played(name, together) for together in (False, True, True))
    one, two = learned(alone), learned(first)
    loaded = fresh(name)
    begun = in_one_row(loaded)
    loaded.set_state(first.get_state())
    copies = [[each.numpy() for each in variable.values] for variable in variables(first)]
    return {
        "difference": float(np.max(np.abs(one - two) / np.maximum(np.abs(one), 1))),
        "moved": float(np.max(np.abs(in_one_row(first) - begun))),
        "copies": [each.device[-5:] for each in variables(first)[0].values],
        "copies_equal": all(np.array_equal(*pair) for pair in copies),
        "repeats": np.array_equal(two, learned(second)),
        "loads_on_one": np.array_equal(in_one_row(first), in_one_row(loaded)),
    }


def augmented() -> float:
    """How far an update from shifted images is from that of one device."""
    space = gymnasium.spaces.Box(0, 255, (8, 8, 1), np.uint8)
    images = dataclasses.replace(spec(), observation_space=space)
    settings = VALUE | {"torso": partial(SmallCNN, hidden_units=8), "augmentation": RandomShift}

    def updated() -> np.ndarray:
        agent, drawn = DQNAgent(images, Seeds(0), **settings), np.random.default_rng(0)
        sample = Sample(
            frames=drawn.integers(256, size=(3, 8, 2, 8, 8, 1), dtype=np.uint8),
            actions=drawn.integers(3, size=(3, 8)),
            returns=drawn.normal(size=(3, 8)),
            discounts=np.full((3, 8), 0.9),
            environments=np.zeros((3, 8), np.int64),
            slots=np.zeros((3, 8), np.int64),
        )
        agent.learner.learn(sample)
        return in_one_row(agent)

    one = updated()
    with DEVICES.scope():
        two = updated()
    return float(np.max(np.abs(one - two)))


class Drawing(QHead):
    """A head of somebody who has not thought of several devices."""

    draws_for_parts = False


def refusals() -> list[str]:
    sentences = []
    for agent in (
        partial(DQNAgent, **(VALUE | {"batch_size": 9})),
        partial(DQNAgent, **(VALUE | {"head": partial(Drawing, noisy=True)})),
        partial(ReinforceAgent, torso=VALUE["torso"], chunk_size=9),
    ):
        try:
            with DEVICES.scope():
                agent(spec(), Seeds(0))
        except UserError as error:
            sentences.append(str(error))
    return sentences


if __name__ == "__main__":
    case = sys.argv[2]
    tf.config.experimental.enable_tensor_float_32_execution(False)
    others = {"augmented": augmented, "refusals": refusals}
    json.dump(others[case]() if case in others else compared(case), sys.stdout)
