"""What it takes to add an actor, a learner, a view and the agent that wires them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.actor import Acted
from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.agents.block_agent import BlockAgent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.pqn_agent import PQNAgent
from dopamine_lite.agents.reinforce_agent import ReinforceAgent
from dopamine_lite.agents.sac_agent import SACAgent
from dopamine_lite.agents.value_agent import replay_spec
from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.common.types import Transitions
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.learning.learner import Learned, RecentMeans
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.n_step import NStepTransitions
from dopamine_lite.replay.replay import Sample
from dopamine_lite.replay.ring import ENDED, Ring
from dopamine_lite.replay.ring_replay import RingReplay
from dopamine_lite.replay.selectors import Uniform
from dopamine_lite.replay.view import Drawn
from dopamine_lite.runner.runner import Runner, Stopped


class LinearActor:
    """Acts by action values that are linear in the observation."""

    def __init__(self, exploration: EpsilonGreedy, weights: np.ndarray):
        self.exploration, self.weights, self.steps = exploration, weights, 0

    def act(self, observations, evaluate=False, action_masks=None) -> Acted:
        actions = self.exploration.choose(
            len(observations), lambda: observations @ self.weights, self.steps, evaluate
        )
        self.steps += 0 if evaluate else len(observations)
        return Acted(actions)

    def load(self, parameters: np.ndarray) -> None:
        self.weights = parameters

    def metrics(self) -> dict[str, Any]:
        return self.exploration.metrics(self.steps)

    def get_state(self):
        return {"steps": self.steps, "exploration": self.exploration.get_state()}

    def set_state(self, state):
        self.steps = state["steps"]
        self.exploration.set_state(state["exploration"])


class LinearLearner:
    """Semi-gradient Q-learning with a linear function, in NumPy."""

    metric_names = ("td_error",)

    def __init__(self, shape: tuple[int, int], rate: float = 0.01):
        self.weights, self.rate = np.zeros(shape), rate

    def learn(self, sample: Sample) -> Learned:
        states, following = sample.frames[0, :, 0], sample.frames[0, :, 1]
        targets = sample.returns[0] + sample.discounts[0] * (following @ self.weights).max(axis=1)
        rows, actions = np.arange(len(states)), sample.actions[0]
        errors = targets - (states @ self.weights)[rows, actions]
        taken = np.zeros((len(states), self.weights.shape[1]))
        taken[rows, actions] = errors
        self.weights = self.weights + self.rate * states.T @ taken / len(states)
        return Learned(self.weights, tf.constant([np.abs(errors).mean()]), np.abs(errors)[None])

    def get_state(self):
        return {"weights": self.weights}

    def set_state(self, state):
        self.weights = state["weights"]


class LinearAgent(BlockAgent):
    """Wires the two with a replay: an update every eight steps."""

    block_length = 8
    steps = 0

    def __init__(self, spec, seeds):
        shape = (spec.observation_space.shape[0], int(spec.action_space.n))
        self.replay = CircularReplay(
            replay_spec(spec, 1, 0.9, shape[1]), seeds.generator("replay"), replay_capacity=200
        )
        self.learner = LinearLearner(shape)
        exploration = EpsilonGreedy(shape[1], 0, seeds.child("exploration"))
        self.actor = LinearActor(exploration, self.learner.weights)
        self.means = RecentMeans(self.learner.metric_names)

    def learn(self, block):
        self.replay.add(block)
        before, self.steps = self.steps, self.steps + block.agent_steps
        if before // 8 < self.steps // 8:  # a block can end sooner
            learned = self.learner.learn(self.replay.sample(1, 16))
            self.actor.load(learned.parameters)
            self.means.add(learned.metrics)

    def metrics(self):
        return self.actor.metrics() | self.means.take()

    def get_state(self):
        organs = {"actor": self.actor, "replay": self.replay, "learner": self.learner}
        return {name: organ.get_state() for name, organ in organs.items()} | {"steps": self.steps}

    def set_state(self, state):
        self.actor.set_state(state["actor"])
        self.learner.set_state(state["learner"])
        self.actor.load(self.learner.weights)
        self.replay.set_state(state["replay"])
        self.steps = state["steps"]


def train(path, **settings: Any) -> Runner:
    runner = Runner(
        path,
        agent=LinearAgent,
        environment=lambda **given: create_environment("CartPole-v1", **given),
        **{"num_iterations": 2, "training_steps": 120, "checkpoint_every_steps": 40}
        | {"evaluation_episodes": 1, "log_every_steps": 30}
        | settings,
    )
    runner.run()
    return runner


def test_an_agent_of_own_organs_trains_and_resumes_exactly(tmp_path):
    whole = train(tmp_path / "whole")
    assert np.abs(whole.agent.learner.weights).max() > 0
    train(tmp_path / "parts", num_iterations=1)
    resumed = train(tmp_path / "parts")
    np.testing.assert_array_equal(whole.agent.learner.weights, resumed.agent.learner.weights)
    states = [
        Checkpointer(tmp_path / run / "checkpoints").load().state for run in ("whole", "parts")
    ]
    np.testing.assert_equal(states[0]["agent"]["actor"], states[1]["agent"]["actor"])


class LastSteps:
    """A view of the steps with which episodes end, as transitions."""

    noun = "last step"

    def __init__(self, ring: Ring):
        self._ring, self._transitions = ring, NStepTransitions(ring)
        self.horizon, self.frames_shape = 1, self._transitions.frames_shape
        self.sample = self._transitions.sample

    def examine(self, environments: np.ndarray, slots: np.ndarray) -> Drawn:
        drawn = self._transitions.examine(environments, slots)
        ends = (self._ring["kinds"][self._ring.at(environments, slots)] & ENDED) != 0
        return drawn._replace(whole=drawn.whole & ends)


def test_an_agent_learns_from_a_view_of_ones_own(tmp_path):
    def replay(spec, generator):
        ring = Ring(spec, 1_000, "LastSteps")
        return RingReplay(ring, Uniform(ring, generator), LastSteps(ring), generator)

    runner = Runner(
        tmp_path,
        agent=lambda spec, seeds: DQNAgent(
            spec,
            seeds,
            torso=lambda seeds: MLP(seeds, (8,)),
            replay=replay,
            min_replay_history=120,
        ),
        environment=lambda **given: create_environment("CartPole-v1", **given),
        num_iterations=1,
        training_steps=200,
        schedule="continuous_train",
    )
    runner.run()
    sample = runner.agent.replay.sample(2, 30)
    assert (sample.discounts == 0).any()  # the pole fell; elsewhere a segment was cut
    kinds = runner.agent.replay.ring["kinds"][
        runner.agent.replay.ring.at(sample.environments, sample.slots)
    ]
    assert ((kinds & ENDED) != 0).all()


class Watching(DQNAgent):
    """A subclass that looks at every step."""

    def observe(self, transitions, evaluate=False):
        self.seen = getattr(self, "seen", 0) + (not evaluate)
        super().observe(transitions, evaluate)


def test_a_subclass_that_observes_steps_is_shown_every_step(tmp_path):
    """Often wrong: the faster way leaves out what a user has written. The result is the same."""
    found = []
    for kind in (DQNAgent, Watching):
        runner = Runner(
            tmp_path / kind.__name__,
            agent=lambda spec, seeds, kind=kind: kind(
                spec, seeds, torso=lambda seeds: MLP(seeds, (8,)), min_replay_history=40
            ),
            environment=lambda **given: create_environment("CartPole-v1", **given),
            num_iterations=1,
            training_steps=100,
            schedule="continuous_train",
        )
        runner.run()
        found.append(runner.agent.learner.online.flat_parameters().numpy())
    assert runner.agent.seen == 100
    np.testing.assert_array_equal(*found)


def test_a_signal_stops_between_two_steps(tmp_path):
    with pytest.raises(Stopped, match="There is no checkpoint yet"):
        runner = Runner(
            tmp_path,
            agent=LinearAgent,
            environment=lambda **given: create_environment("CartPole-v1", **given),
            schedule="continuous_train",
            training_steps=100,
        )
        runner.training.signals.arrived = 15
        runner.run()


class OfBefore(DQNAgent):
    def _loss(self, batch):
        raise AssertionError


def test_a_loss_that_would_never_be_called_is_refused():
    spec = create_environment("CartPole-v1").spec
    with pytest.raises(UserError, match=r"OfBefore._loss would never be called: redefine `loss"):
        OfBefore(spec, Seeds(0), torso=lambda seeds: MLP(seeds, (8,)))


def _choosing_others(kind: type[BlockAgent]) -> type[BlockAgent]:
    class Otherwise(kind):
        """A subclass that plays other actions than its actor chose, from the 30th step on."""

        played = 0

        def act(self, observations, evaluate=False, action_masks=None):
            actions = super().act(observations, evaluate, action_masks)
            self.played += 1
            return actions if self.played < 30 else actions[::-1].copy() * 0

    return Otherwise


@pytest.mark.parametrize(
    ("kind", "environment"),
    [(PPOAgent, "CartPole-v1"), (ReinforceAgent, "CartPole-v1"), (SACAgent, "Pendulum-v1")],
    ids=lambda case: case if isinstance(case, str) else case.__name__,
)
def test_actions_that_the_agent_cannot_learn_from_are_refused(kind, environment, tmp_path):
    """Often wrong: the actor's action is learned from, with the reward of another."""
    made = _choosing_others(kind)
    runner = Runner(
        tmp_path,
        agent=lambda spec, seeds: made(spec, seeds, torso=lambda seeds: MLP(seeds, (8,))),
        environment=lambda **given: create_environment(environment, **given),
        num_iterations=1,
        training_steps=100,
        schedule="continuous_train",
    )
    with pytest.raises(
        UserError, match=r"Otherwise\.act did not return the actions that its actor chose"
    ):
        runner.run()


def test_action_values_can_be_learned_from_any_action(tmp_path):
    made = _choosing_others(DQNAgent)
    agent = made(
        create_environment("CartPole-v1").spec, Seeds(0), torso=lambda seeds: MLP(seeds, (8,))
    )
    seen = np.ones((1, 4), np.float32)
    agent.played = 30
    for _ in range(5):
        actions = agent.act(seen)
        ends = np.zeros(1, bool)
        agent.observe(Transitions(seen, actions, np.zeros(1), ends, ends, seen))
    np.testing.assert_array_equal(agent.replay.ring["actions"][:5], 0)


class Forgetful(PQNAgent):
    """Asks its actor in every second step only."""

    asked = False

    def act(self, observations, evaluate=False, action_masks=None):
        self.asked = not self.asked
        if self.asked:
            return super().act(observations, evaluate, action_masks)
        return np.zeros(len(observations), np.int64)


def test_decisions_of_an_earlier_step_are_not_learned_from(tmp_path):
    """Often wrong: the values of the step before are taken for the values of this one."""
    runner = Runner(
        tmp_path,
        agent=lambda spec, seeds: Forgetful(spec, seeds, torso=lambda seeds: MLP(seeds, (8,))),
        environment=lambda **given: create_environment("CartPole-v1", **given),
        schedule="continuous_train",
        training_steps=64,
        num_iterations=1,
    )
    with pytest.raises(UserError, match=r"Forgetful\.act did not ask its actor"):
        runner.run()
