"""PQN: what its update is given, its gradient by hand, and that it goes on bit for bit."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import gymnasium
import keras
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.acting.value_actor import ValueDecisions
from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.pqn_agent import PQNAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.heads import CategoricalHead, QHead
from dopamine_lite.networks.optimizers import RAdam
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.block import Block
from tests.agents.policies import Script, script
from tests.agents.tiny import Identity, spec

NORMED = functools.partial(MLP, hidden_units=(32,), layer_norm=True)


def build(seed: int = 0, num_envs: int = 2, **arguments: Any) -> PQNAgent:
    settings: dict[str, Any] = {
        "torso": NORMED,
        "exploration": functools.partial(
            EpsilonGreedy, epsilon_train=0.3, epsilon_eval=0.0, epsilon_decay_period=1
        ),
        "optimizer": functools.partial(RAdam, learning_rate=0.01),
        "gamma": 0.5,
        "rollout_length": 16,
        "num_epochs": 2,
        "num_minibatches": 2,
    } | arguments
    own = settings.pop("spec", spec(num_envs=num_envs))
    return PQNAgent(own, Seeds(seed), **settings)


def values(agent: PQNAgent, observations: np.ndarray) -> np.ndarray:
    """Q(s, a) [N, A] as TensorFlow computes it."""
    network = agent.learner.network
    return network(network.prepare(tf.constant(observations))).numpy()


def updates_of(agent: PQNAgent) -> list[list[np.ndarray]]:
    """The inputs of each of the agent's updates from now on."""
    seen: list[list[np.ndarray]] = []
    agent.learner.compile()
    update = agent.learner._update
    assert update is not None

    def spy(*inputs: Any) -> Any:
        seen.append([tensor.numpy() for tensor in inputs])
        return update(*inputs)

    agent.learner._update = spy
    return seen


class Descent:
    """An optimizer whose step is the gradient itself, so that the step tells what it was."""

    def build(self, variables: Any) -> None:
        self._variables = variables

    def apply(self, gradients: Any, scale: Any = 1.0) -> None:
        for variable, gradient in zip(self._variables, gradients, strict=True):
            variable.assign_sub(scale * gradient)

    def learning_rate(self) -> float:
        return 1.0

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


def q_lambda_by_hand(
    steps: Script, next_values: np.ndarray, gamma: float, q_lambda: float
) -> np.ndarray:
    """[T, N] of the definition: from each step on, until its episode or the rollout ends."""
    length, num_envs = steps.rewards.shape
    targets = np.zeros((length, num_envs))
    for index in range(num_envs):
        for step in reversed(range(length)):
            bootstrap = next_values[step, index]
            if not (steps.truncated[step, index] or step == length - 1):
                later = targets[step + 1, index]
                bootstrap = (1 - q_lambda) * bootstrap + q_lambda * later
            if steps.terminated[step, index]:
                bootstrap = 0.0
            targets[step, index] = steps.rewards[step, index] + gamma * bootstrap
    return targets


def test_an_update_is_given_the_values_of_true_successors_before_it():
    """Often wrong: where an episode was cut, the value of the next one's first observation."""
    agent = build(rollout_length=4)
    updates, steps = updates_of(agent), script()
    now, following = (
        np.stack([values(agent, row).max(axis=1) for row in seen])
        for seen in (steps.observations, steps.next_observations)
    )
    steps.play(agent)
    ((observations, actions, (rewards, next_values), ends, *_),) = updates
    np.testing.assert_array_equal(observations.reshape(4, 2, 3), steps.observations)
    assert actions.shape == (8,) and actions.dtype == np.int32
    np.testing.assert_allclose(rewards, steps.rewards, rtol=1e-6)
    counts = ~steps.terminated  # a terminal observation has no value
    np.testing.assert_allclose(next_values[counts], following[counts], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ends, [steps.terminated, steps.truncated])
    assert not np.allclose(now, following)


@pytest.mark.parametrize("norm", [None, 0.05])
@pytest.mark.parametrize("q_lambda", [0.0, 0.7, 1.0])
def test_the_first_gradient_is_that_of_half_the_squared_error(q_lambda, norm):
    """Often wrong: a gradient through the targets, the factor of a half, a norm not clipped."""
    agent = build(
        rollout_length=4,
        num_epochs=1,
        num_minibatches=1,
        optimizer=Descent,
        gamma=0.9,
        q_lambda=q_lambda,
        max_gradient_norm=norm,
    )
    updates, steps = updates_of(agent), script()
    network = agent.learner.network
    before = [variable.numpy() for variable in network.variables]
    next_values = np.stack([values(agent, row).max(axis=1) for row in steps.next_observations])
    targets = q_lambda_by_hand(steps, next_values, 0.9, q_lambda)
    twin = build(seed=0).learner.network  # with the parameters of before
    steps.play(agent)
    taken = updates[0][1].reshape(4, 2)

    losses, chosen = [], []
    with tf.GradientTape() as tape:
        for step in range(4):
            outputs = twin(tf.constant(steps.observations[step]))
            for index in range(2):
                value = outputs[index, int(taken[step, index])]
                chosen.append(value)
                losses.append((value - targets[step, index]) ** 2 / 2)
        loss = sum(losses) / len(losses)
    expected = tape.gradient(loss, twin.variables)
    size = float(np.sqrt(sum(np.square(part).sum() for part in expected)))
    share = 1.0 if norm is None else norm / size
    assert norm is None or size > norm
    for variable, then, gradient in zip(network.variables, before, expected, strict=True):
        moved = then - variable.numpy()
        np.testing.assert_allclose(moved, share * gradient, rtol=2e-3, atol=1e-5)
    metrics = agent.metrics()
    assert metrics["loss"] == pytest.approx(float(loss), rel=1e-4)
    assert metrics["q_mean"] == pytest.approx(float(np.mean(chosen)), rel=1e-4)
    assert metrics["gradient_norm"] == pytest.approx(size, rel=1e-4)


def test_minibatches_share_every_step_of_a_pass_and_differ_between_passes():
    agent = build()
    updates = updates_of(agent)
    Identity(2).play(agent, 16)
    ((*_, orders, _, _),) = updates
    assert orders.shape == (2, 2, 16)
    for order in orders:
        assert sorted(order.ravel()) == list(range(32))
    assert orders[0].tobytes() != orders[1].tobytes()


@pytest.mark.parametrize("num_envs", [1, 3])
def test_the_first_update_comes_when_it_is_said(num_envs):
    agent = build(num_envs=num_envs, rollout_length=4)
    updates, environment = updates_of(agent), Identity(num_envs)
    environment.play(agent, 3)
    assert not updates and agent.block_length == 1
    environment.play(agent, 1)
    assert len(updates) == 1 and agent.first_update == 4 * num_envs and agent.block_length == 4


def test_learns_the_identity():
    agent = build()
    Identity(2).play(agent, 800)
    hot = np.eye(3, dtype=np.float32)
    np.testing.assert_array_equal(agent.act(hot, evaluate=True), [0, 1, 2])
    np.testing.assert_allclose(values(agent, hot), np.eye(3), atol=0.3)


def test_truncation_is_bootstrapped_and_termination_is_not():
    """One step of reward 1, again and again: worth 1 if it ends there, 1 / (1 - gamma) if it is cut."""
    ended, cut = build(), build()
    Identity(2, terminated=True).play(ended, 800)
    Identity(2, terminated=False).play(cut, 800)
    hot = np.eye(3, dtype=np.float32)
    np.testing.assert_allclose(np.diag(values(ended, hot)), 1.0, atol=0.2)
    np.testing.assert_allclose(np.diag(values(cut, hot)), 2.0, atol=0.3)


def assert_same(first: Any, second: Any) -> None:
    """Two states are the same, bit for bit."""
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for name in first:
            assert_same(first[name], second[name])
    elif isinstance(first, list):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    else:
        assert first == second


def play_in_blocks(agent: PQNAgent, lengths: Sequence[int]) -> None:
    """Steps of which some end episodes, in blocks of these lengths, or less where learning is due."""
    steps = script(sum(lengths), seed=3)
    position = 0
    for length in lengths:
        stop = position + length
        while position < stop:
            taken, said = [], []
            for step in range(position, min(stop, position + agent.block_length)):
                row = [column[step] for column in steps]
                acted = agent.actor.act(row[0])
                taken.append(Transitions(row[0], acted.actions, *row[2:], row[1]))
                said.append(acted.decisions)
            position += len(taken)
            after = steps.observations[min(position, len(steps.rewards) - 1)]
            agent.learn(Block.of(taken, (after, None), said))


@pytest.mark.parametrize("lengths", [[1] * 13, [3, 4, 1, 5], [12, 1]], ids=str)
def test_blocks_may_end_anywhere(lengths):
    """Often wrong: the values of the last row of a block, which is not the last of the rollout."""
    whole, cut = build(rollout_length=5), build(rollout_length=5)
    play_in_blocks(whole, [13])
    play_in_blocks(cut, lengths)
    assert len(whole.get_state()["rollout"][0]) == 3
    assert_same(whole.get_state(), cut.get_state())


def test_a_block_may_be_longer_than_what_is_left_of_a_rollout():
    """All of it was acted by the parameters from before: those that do not change give the same."""
    still = functools.partial(RAdam, learning_rate=0.0)
    whole, cut = (build(rollout_length=4, optimizer=still) for _ in range(2))
    steps = script(7)
    acted = [whole.actor.act(row) for row in steps.observations]
    again = [cut.actor.act(row) for row in steps.observations]
    rows = [
        Transitions(seen, said.actions, reward, terminated, truncated, following)
        for seen, following, reward, terminated, truncated, said in zip(*steps, acted, strict=True)
    ]
    updates = updates_of(whole), updates_of(cut)
    after = (steps.next_observations[-1], None)
    whole.learn(Block.of(rows, after, [said.decisions for said in acted]))
    for index in range(7):
        behind = (steps.observations[index + 1], None) if index < 6 else after
        cut.learn(Block.of(rows[index : index + 1], behind, [again[index].decisions]))
    assert len(updates[0]) == len(updates[1]) == 1
    for one, other in zip(updates[0][0], updates[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same(whole.get_state(), cut.get_state())


@pytest.mark.parametrize("noisy", [False, True])
def test_a_restored_agent_goes_on_bit_for_bit(noisy):
    """Within a rollout, with RAdam before and after its rectification."""
    head = functools.partial(QHead, noisy=noisy)
    whole = build(head=head, learning_rate_decay_period=500)
    environment = Identity(2)
    environment.play(whole, 41)
    resumed = build(head=head, learning_rate_decay_period=500, seed=7)
    resumed.set_state(whole.get_state())
    again = Identity(2)
    for one in (environment, again):
        one._generator = np.random.default_rng(5)
        one.observations = one._draw()
    environment.play(whole, 60)
    again.play(resumed, 60)
    assert_same(whole.get_state(), resumed.get_state())
    whole.metrics()
    environment.play(whole, 16)
    again.play(resumed, 16)
    now, then = resumed.metrics(), whole.metrics()
    assert now["learning_rate"] == then["learning_rate"] and now["epsilon"] == then["epsilon"]


def test_a_state_is_a_copy():
    agent = build()
    Identity(2).play(agent, 5)
    state = agent.get_state()
    before = [column.copy() for column in state["rollout"]]
    Identity(2, seed=1).play(agent, 20)
    for then, now in zip(before, state["rollout"], strict=True):
        np.testing.assert_array_equal(then, now)


def test_illegal_actions_are_not_taken_and_their_values_do_not_count():
    """Often wrong: the successor's value by the masks of the state before, or of the next episode."""
    own = EnvironmentSpec(
        "Masked-v0",
        gymnasium.spaces.Box(-10, 10, (3,), np.float32),
        gymnasium.spaces.Discrete(3, start=5),
        2,
        action_masks=True,
    )
    agent = build(spec=own, rollout_length=4)
    updates, steps = updates_of(agent), script()
    generator = np.random.default_rng(1)

    def legal() -> np.ndarray:
        return np.eye(3, dtype=bool)[generator.integers(3, size=2)]

    now, following = [legal() for _ in range(5)], []
    for step in range(4):
        ended = (steps.terminated[step] | steps.truncated[step])[:, None]
        at_end = np.where(steps.terminated[step][:, None], False, legal())
        following.append(np.where(ended, at_end, now[step + 1]))
        actions = agent.act(steps.observations[step], action_masks=now[step])
        assert now[step][np.arange(2), actions - 5].all()
        row = [column[step] for column in steps]
        agent.observe(Transitions(row[0], actions, *row[2:], row[1], now[step], following[step]))
        if step == 2:
            before = [values(agent, seen) for seen in steps.next_observations]
    ((_, taken, (_, next_values), *_),) = updates
    assert taken.min() >= 0 and taken.max() <= 2
    for step in range(4):
        for index in (0, 1):
            if not steps.terminated[step, index]:
                (action,) = following[step][index].nonzero()[0]
                expected = before[step][index, action]
                assert next_values[step, index] == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert all(np.isfinite(variable.numpy()).all() for variable in agent.learner.network.variables)


def test_every_value_of_a_successor_is_set():
    """Often wrong: what memory held where an episode terminated, which may be NaN, times zero."""
    agent = build()
    agent.rollout._rollout.cut_values[:] = np.nan
    Identity(2).play(agent, 16)
    assert all(np.isfinite(variable.numpy()).all() for variable in agent.learner.network.variables)


def test_values_are_told_of_while_everything_is_explored():
    """Epsilon is 1 at first, without a warm-up: no action needs a value, but every target does."""
    agent = build(exploration=functools.partial(EpsilonGreedy, epsilon_decay_period=1_000_000))
    assert agent.metrics()["epsilon"] == 1.0
    seen = np.eye(3, dtype=np.float32)[:2]
    decisions = agent.actor.act(seen).decisions
    assert isinstance(decisions, ValueDecisions)
    np.testing.assert_allclose(decisions.values, values(agent, seen).max(axis=1), rtol=1e-4)
    assert agent.actor.act(seen, evaluate=True).decisions is None


def test_the_learning_rate_falls_with_the_agent_steps():
    agent = build(learning_rate_decay_period=128)
    updates = updates_of(agent)
    Identity(2).play(agent, 96)
    np.testing.assert_allclose([inputs[-1] for inputs in updates], [1, 0.75, 0.5, 0.25, 0, 0])
    assert agent.metrics()["learning_rate"] == 0


def test_what_it_logs_and_says_of_itself():
    agent = build()
    assert agent.metrics() == {"epsilon": 1.0, "learning_rate": pytest.approx(0.01)}
    Identity(2).play(agent, 16)
    assert {"loss", "q_mean", "gradient_norm", "q_values", "epsilon", "learning_rate"} == set(
        agent.metrics()
    )
    said = agent.describe()
    assert said["agent"] == "PQNAgent" and said["layer_norm"] is True
    # A kernel and a bias, a scale and an offset, and the head.
    assert said["parameters"] == 3 * 32 + 3 * 32 + 32 * 3 + 3
    assert agent.memory_bytes == 32 * (3 * 4 + 4 + 4 + 4 + 4 + 2)
    assert build(torso=MLP).describe()["layer_norm"] is False


def test_starts_from_the_weights_of_another_value_based_agent():
    dqn = DQNAgent(spec(num_envs=2), Seeds(5), torso=NORMED, min_replay_history=50)
    agent = build()
    agent.start_from(dqn.get_state())
    hot = np.eye(3, dtype=np.float32)
    expected = dqn.explain(hot).action_values
    np.testing.assert_allclose(agent.explain(hot).action_values, expected, rtol=1e-5)
    np.testing.assert_allclose(agent.actor.inference(hot), expected, rtol=1e-4, atol=1e-5)


def test_exports_what_it_acts_by(tmp_path):
    agent = build()
    Identity(2).play(agent, 64)
    hot = np.eye(3, dtype=np.float32)
    agent.export(tmp_path / "policy")
    serve = tf.saved_model.load(str(tmp_path / "policy")).signatures["serving_default"]
    served = serve(observations=tf.constant(hot))
    np.testing.assert_allclose(served["values"], values(agent, hot), rtol=1e-5)
    np.testing.assert_array_equal(served["actions"], agent.act(hot, evaluate=True))
    agent.export(tmp_path / "model.keras", format="keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(model(hot), values(agent, hot), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "rollout_length",
        "num_epochs",
        "num_minibatches",
        "learning_rate_decay_period",
        "max_gradient_norm",
    ],
)
def test_numbers_with_which_nothing_could_be_learned_are_refused(name):
    with pytest.raises(UserError, match=rf"PQNAgent\.{name} is 0"):
        build(**{name: 0})


@pytest.mark.parametrize("name", ["gamma", "q_lambda"])
def test_fractions_are_fractions(name):
    with pytest.raises(UserError, match=rf"PQNAgent\.{name} is 1.5: give a number from 0 to 1"):
        build(**{name: 1.5})


def test_uneven_minibatches_are_refused():
    with pytest.raises(UserError, match=r"3 minibatches cannot share evenly: change PQNAgent\."):
        build(num_minibatches=3)


def test_a_rollout_beyond_memory_is_refused():
    with pytest.raises(UserError, match="PQNAgent's rollout needs .* GB .*: lower PQNAgent.roll"):
        build(rollout_length=10**12)


def test_a_head_of_distributions_is_refused():
    with pytest.raises(UserError, match="PQNAgent learns the outputs of a QHead: bind @QHead"):
        build(head=CategoricalHead)


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'update_horizon'"):
        build(update_horizon=3)
