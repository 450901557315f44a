"""Parts as they were made: what is asked of each, and the sentence for what lacks it."""

from __future__ import annotations

import keras
import pytest

from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.exploration import EpsilonGreedy, Exploration
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.common.contracts import asked_methods, checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.replay.circular_replay import CircularReplay
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.networks.heads import Head
from dopamine_lite.networks.optimizers import Optimizer
from dopamine_lite.networks.torsos import MLP, Torso


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
        "DQNAgent.torso makes an object of the class Sequential, which has no compile_update, prepare: see Torso in "
        "dopamine_lite.networks.torsos for what is asked of one."
    )


@pytest.mark.parametrize(
    ("agent", "id", "parts", "sentence"),
    [
        (DQNAgent, "CartPole-v1", {"torso": lambda seeds: 3}, "DQNAgent.torso makes an object of the class int"),
        (DQNAgent, "CartPole-v1", {"head": lambda seeds, _: MLP(seeds)}, "DQNAgent.head makes an object of the class MLP"),
        (DQNAgent, "CartPole-v1", {"replay": lambda **_: []}, "DQNAgent.replay makes an object of the class list"),
        (DQNAgent, "CartPole-v1", {"exploration": lambda *_: None}, "DQNAgent.exploration makes an"),
        (PPOAgent, "CartPole-v1", {"torso": lambda _: 3}, "PPOAgent.torso makes an object of the class int"),
        (PPOAgent, "CartPole-v1", {"optimizer": lambda: 3}, "PPOAgent.optimizer makes an object of the class int"),
        (QLearningAgent, "CliffWalking-v1", {"exploration": lambda *_: 3}, "exploration makes an object of the class int"),
    ],
)  # fmt: skip
def test_agents_look_at_their_parts(agent, id, parts, sentence):
    environment = create_environment(id)
    small = {"torso": lambda seeds: MLP(seeds, (4,))} if agent is not QLearningAgent else {}
    if agent is DQNAgent:
        small |= {"exploration": EpsilonGreedy}
    with pytest.raises(UserError, match=sentence):
        agent(environment.spec, Seeds(0), **(small | parts))
