"""Parts as they were made: what is asked of each, and the sentence for what lacks it."""

from __future__ import annotations

import keras
import pytest

from dopamine_lite.acting.exploration import Exploration
from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.common.contracts import asked_methods, checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.optimizers import Optimizer
from dopamine_lite.networks.torsos import MLP, Torso
from dopamine_lite.replay.circular_replay import CircularReplay


def test_what_is_asked_of_each():
    assert asked_methods(Agent) == {"act", "observe", "get_state", "set_state"}
    assert asked_methods(Torso) == {"prepare"}
    assert asked_methods(Head) == {"__call__", "values", "describe"}
    assert asked_methods(Exploration) == {"choose", "metrics"}
    assert asked_methods(Optimizer) == {"apply"}
    assert {"add", "sample", "get_state"} <= asked_methods(CircularReplay)


def test_a_part_of_any_class_will_do():
    class Own:
        layers = ()
        compile_update = True

        def prepare(self, observations):
            return observations

    own = Own()
    assert checked_part("DQNAgent", "torso", own, Torso) is own


def test_what_a_part_lacks_is_named():
    with pytest.raises(UserError) as error:
        checked_part("DQNAgent", "torso", keras.Sequential([]), Torso)
    assert str(error.value) == (
        "DQNAgent.torso makes an object of the class Sequential, which has no compile_update, "
        "prepare: see the contract Torso in dopamine_lite.networks.torsos.torso."
    )


@pytest.mark.parametrize(
    ("agent", "part", "maker", "made"),
    [
        (DQNAgent, "torso", lambda seeds: 3, "int"),
        (DQNAgent, "head", lambda seeds, _: MLP(seeds), "MLP"),
        (DQNAgent, "replay", lambda *_: [], "list"),
        (DQNAgent, "exploration", lambda *_: None, "NoneType"),
        (PPOAgent, "torso", lambda seeds: 3, "int"),
        (PPOAgent, "optimizer", lambda: 3, "int"),
        (QLearningAgent, "exploration", lambda *_: 3, "int"),
    ],
)
def test_agents_look_at_their_parts(agent, part, maker, made):
    table = agent is QLearningAgent
    spec = create_environment("CliffWalking-v1" if table else "CartPole-v1").spec
    small = {} if table else {"torso": lambda seeds: MLP(seeds, (4,))}
    with pytest.raises(UserError) as error:
        agent(spec, Seeds(0), **(small | {part: maker}))
    sentence = f"{agent.__name__}.{part} makes an object of the class {made}, which has no "
    assert str(error.value).startswith(sentence)
