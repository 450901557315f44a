"""What training calls is compiled in its first step: not where agents only act, and never later.

Evaluating, recording and exporting pay for no update. And TensorFlow reads the source of what it
compiles, which in a long run may have been edited by the time that the first update is due.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from tensorflow.python.autograph.impl import api

from dopamine_lite.acting.inference import NumpyNetwork
from dopamine_lite.agents.agent import Agent, Transitions
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.rainbow_agent import RainbowAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.learning.policy_parts import PolicyParts
from dopamine_lite.learning.value_learner import ValueLearner
from dopamine_lite.networks.torsos import MLP
from tests.agents.tiny import spec

SMALL = functools.partial(MLP, hidden_units=(4,))
AGENTS: dict[str, tuple[Any, Any, str]] = {  # and what is called where an update is traced
    "ppo": (PPOAgent, PolicyParts, "outputs"),
    "reinforce": (ReinforceAgent, PolicyParts, "outputs"),
    "dqn": (DQNAgent, DQNAgent, "loss"),
    "rainbow": (RainbowAgent, RainbowAgent, "loss"),
}


class Traced(Exception):
    pass


def step(agent: Agent, evaluate: bool = False) -> None:
    seen, ended = np.eye(3, dtype=np.float32)[:1], np.ones(1, bool)
    actions = agent.act(seen, evaluate)
    agent.observe(Transitions(seen, actions, np.ones(1), ended, ~ended, seen), evaluate)


@pytest.mark.parametrize("name", AGENTS)
def test_the_update_is_compiled_in_the_first_step_of_training(name, monkeypatch):
    kind, owner, method = AGENTS[name]

    def traced(*_: Any, **__: Any) -> None:
        raise Traced

    monkeypatch.setattr(owner, method, traced)
    agent = kind(spec(), Seeds(0), torso=SMALL)
    step(agent, evaluate=True)
    with pytest.raises(Traced):
        step(agent)


@pytest.mark.parametrize("name", AGENTS)
def test_layers_are_traced_as_they_stand(name, monkeypatch):
    """AutoGraph took longer to rewrite them than tracing them takes, and Keras rewrites none."""
    rewritten, convert = set(), api._convert_actual

    def converted(function: Any, context: Any) -> Any:
        rewritten.add(function.__module__)
        return convert(function, context)

    monkeypatch.setattr(api, "_convert_actual", converted)
    step(AGENTS[name][0](spec(), Seeds(0), torso=SMALL))
    assert any(module.startswith("dopamine_lite.learning.") for module in rewritten)  # loops are
    parts = ("heads", "layers", "streams", "torsos")
    own = tuple(f"dopamine_lite.networks.{part}" for part in parts)
    assert not any(module.startswith(own) for module in rewritten)


@pytest.mark.parametrize("kind", [DQNAgent, RainbowAgent])
def test_acting_by_values_is_compiled_with_the_update(kind, monkeypatch):
    """It begins after the warm-up, evaluation without noise after the first iteration."""
    monkeypatch.setattr(NumpyNetwork, "supports", lambda network: False)
    monkeypatch.setattr(ValueLearner, "compile", lambda learner, *numbers: None)
    agent = kind(spec(), Seeds(0), torso=SMALL, min_replay_history=1_000)
    traced, head = [], agent.actor.inference.network.head
    values = head.values
    monkeypatch.setattr(head, "values", lambda outputs: traced.append(outputs) or values(outputs))
    step(agent)
    functions = 2 if kind is RainbowAgent else 1
    assert len(traced) == functions
    agent.actor.steps = 10**6  # after the warm-up
    for evaluate in (False, True):
        agent.act(np.eye(3, dtype=np.float32), evaluate)
    assert "q_values" in agent.metrics()
    assert len(traced) == functions
