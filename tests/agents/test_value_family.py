"""C51, QR-DQN, IQN, Rainbow and Munchausen on values that are known, their parts, and their resume."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.exploration import Boltzmann, EpsilonGreedy
from dopamine_lite.acting.inference import NumpyNetwork
from dopamine_lite.agents.agent import Transitions
from dopamine_lite.agents.c51_agent import C51Agent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.iqn_agent import IQNAgent
from dopamine_lite.agents.munchausen import Munchausen
from dopamine_lite.agents.qr_dqn_agent import QRDQNAgent
from dopamine_lite.agents.rainbow_agent import RainbowAgent
from dopamine_lite.agents.value_agent import ValueAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.learning.value_learner import Batch, Loss, NetworkSeeds
from dopamine_lite.networks.augmentation import RandomShift
from dopamine_lite.networks.heads import (
    CategoricalHead,
    ImplicitQuantileHead,
    QHead,
    QuantileHead,
)
from dopamine_lite.networks.layers import uniform
from dopamine_lite.networks.optimizers import Adam
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import Sample
from dopamine_lite.replay.ring import TERMINATED
from tests.agents.policies import Recorder
from tests.agents.tiny import Identity, spec
from tests.core import core

ATOMS = {"num_atoms": 21, "vmin": -0.5, "vmax": 2.5}
UNIFORM = functools.partial(CircularReplay, replay_capacity=1000)
PRIORITIZED = functools.partial(PrioritizedReplay, replay_capacity=1000)
FIRST_ERRORS = functools.partial(PRIORITIZED, initial_priority="td_error")
RAINBOW = functools.partial(RainbowAgent, replay=PRIORITIZED, update_horizon=1, **ATOMS)
PARTS: dict[str, Any] = {  # what one binding each takes away
    "without_double": {"double": False},
    "without_dueling": {"dueling": False},
    "without_noisy": {"noisy": False},
    "without_categorical": {"categorical": False},
    "without_prioritized": {"replay": UNIFORM},
}
QUANTILES = functools.partial(QuantileHead, num_quantiles=11)
IMPLICIT = functools.partial(ImplicitQuantileHead, num_cosines=16, num_quantile_samples=16)
AGENTS: dict[str, Any] = {
    "c51": functools.partial(C51Agent, head=functools.partial(CategoricalHead, **ATOMS)),
    "double_c51": functools.partial(
        C51Agent, head=functools.partial(CategoricalHead, **ATOMS), double=True
    ),
    "qr_dqn": functools.partial(QRDQNAgent, head=QUANTILES),
    "double_qr_dqn": functools.partial(QRDQNAgent, head=QUANTILES, double=True, replay=PRIORITIZED),
    "iqn": functools.partial(IQNAgent, head=IMPLICIT, num_tau_samples=8, num_tau_prime_samples=8),
    "prioritized_dqn": functools.partial(DQNAgent, replay=PRIORITIZED),
    "first_errors_dqn": functools.partial(DQNAgent, replay=FIRST_ERRORS),
    "rainbow": RAINBOW,
    **{name: functools.partial(RAINBOW, **part) for name, part in PARTS.items()},
}


CORE = ("iqn", "rainbow")


def build(name: str, seed: int = 0, num_envs: int = 1, **arguments: Any) -> ValueAgent:
    settings: dict[str, Any] = {
        "torso": functools.partial(MLP, hidden_units=(32,)),
        "exploration": functools.partial(
            EpsilonGreedy, epsilon_train=0.3, epsilon_eval=0.0, epsilon_decay_period=1
        ),
        "optimizer": functools.partial(Adam, learning_rate=0.01, epsilon=1e-8),
        "gamma": 0.5,
        "min_replay_history": 50,
        "update_period": 8,
        "updates_per_period": 8,
        "target_update_period": 24,
    }
    agent = AGENTS[name]
    if "replay" not in agent.keywords:
        settings["replay"] = UNIFORM
    return agent(spec(num_envs=num_envs), Seeds(seed), **(settings | arguments))


def values(agent: ValueAgent) -> np.ndarray:
    drawn = agent.learner.online.head.random_in_evaluation
    generator = np.random.default_rng(0) if drawn else None
    return agent.actor.inference(np.eye(3, dtype=np.float32), generator)


@pytest.mark.parametrize("name", core(AGENTS, *CORE))
def test_learns_the_identity(name):
    agent = build(name)
    Identity().play(agent, 1200)
    np.testing.assert_array_equal(agent.act(np.eye(3, dtype=np.float32), evaluate=True), [0, 1, 2])
    np.testing.assert_allclose(values(agent), np.eye(3), atol=0.3)


@pytest.mark.parametrize("name", core(["c51", "qr_dqn", "iqn", "rainbow"], "iqn"))
def test_truncation_is_bootstrapped_and_termination_is_not(name):
    """One step of reward 1, again and again: worth 1 if it ends there, 1 / (1 - gamma) if it is cut."""
    ended, cut = build(name), build(name)
    Identity(terminated=True).play(ended, 1200)
    Identity(terminated=False).play(cut, 1200)
    np.testing.assert_allclose(np.diag(values(ended)), 1.0, atol=0.2)
    np.testing.assert_allclose(np.diag(values(cut)), 2.0, atol=0.3)


@pytest.mark.parametrize(
    "name", core(["c51", "double_qr_dqn", "first_errors_dqn", "iqn", "rainbow"], "iqn", "rainbow")
)
def test_a_restored_agent_goes_on_bit_for_bit(name):
    whole = build(name)
    environment = Identity()
    environment.play(whole, 200)
    resumed = build(name, seed=7)
    resumed.set_state(whole.get_state())
    again = Identity()
    environment._generator, again._generator = np.random.default_rng(5), np.random.default_rng(5)
    environment.observations, again.observations = environment._draw(), again._draw()
    for agent, player in ((whole, environment), (resumed, again)):
        player.play(agent, 150)
        agent.act(np.eye(3, dtype=np.float32), evaluate=True)
        player.play(agent, 50)
    np.testing.assert_array_equal(values(whole), values(resumed))
    np.testing.assert_array_equal(
        whole.learner.target.flat_parameters(), resumed.learner.target.flat_parameters()
    )


@pytest.mark.parametrize("name", ["iqn", "rainbow"])
def test_evaluation_changes_nothing_in_training(name):
    plain, evaluated = build(name), build(name)
    for agent in (plain, evaluated):
        environment = Identity()
        for _ in range(5):
            environment.play(agent, 40)
            if agent is evaluated:
                seen, ended = np.eye(3, dtype=np.float32)[:1], np.ones(1, bool)
                actions = agent.act(seen, evaluate=True)
                step = Transitions(seen, actions, np.full(1, 9.0), ended, ~ended, seen)
                agent.observe(step, evaluate=True)
    np.testing.assert_array_equal(values(plain), values(evaluated))
    assert plain.get_state()["steps"] == evaluated.get_state()["steps"] == 200


@pytest.mark.parametrize(
    ("name", "acting"),
    core([("iqn", "NumPy"), *((name, "TensorFlow") for name in AGENTS)], ("iqn", "NumPy")),
)
def test_tensors_are_never_turned_into_text(name, acting, monkeypatch):
    """TensorFlow does that, for five times the cost of an update, when a call misses its signature."""

    def refuse(tensor: tf.Tensor) -> str:
        raise AssertionError("a tensor was turned into text")

    monkeypatch.setattr(NumpyNetwork, "supports", lambda network: acting == "NumPy")
    monkeypatch.setattr(type(tf.constant(0)), "__repr__", refuse)
    agent = build(name)
    Identity().play(agent, 64)
    agent.act(np.eye(3, dtype=np.float32), evaluate=True)
    assert agent.get_state()["updates"] > 0
    assert agent.describe()["acting"] == acting


def noise(agent: ValueAgent, evaluate: bool) -> np.random.Generator | None:
    """What the head draws its noise from when the agent acts by values."""
    given, inference = [], agent.actor.inference

    def spy(observations: np.ndarray, generator: np.random.Generator | None) -> np.ndarray:
        given.append(generator)
        return inference(observations, generator)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(agent.actor, "inference", spy)
        patched.setattr(agent.actor, "steps", 10**6)  # after the warm-up
        agent.act(np.zeros((64, 3), np.float32), evaluate)  # of which not all explore
    (generator,) = given
    return generator


def test_noise_is_off_in_evaluation():
    """Often wrong: noise left on in evaluation."""
    agent = build("rainbow", exploration=functools.partial(EpsilonGreedy, epsilon_eval=0.0))
    assert noise(agent, evaluate=True) is None
    assert noise(agent, evaluate=False) is not None


@pytest.mark.parametrize("part", core(PARTS, "without_dueling", "without_prioritized"))
def test_each_part_of_rainbow_is_really_taken_away(part):
    """Often wrong: prioritized replay silently off. Weights, replay and target show what is active."""
    whole, without = build("rainbow"), build(part)
    outputs, hidden = 3 * 21, 32
    parameters = {
        "rainbow": 2 * (hidden + 1) * (outputs + 21),
        "without_dueling": 2 * (hidden + 1) * outputs,
        "without_noisy": (hidden + 1) * (outputs + 21),
        "without_categorical": 2 * (hidden + 1) * (3 + 1),
    }
    torso = 3 * hidden + hidden
    assert whole.learner.online.num_parameters == torso + parameters["rainbow"]
    own = without.learner.online.num_parameters
    assert own == torso + parameters.get(part, parameters["rainbow"])
    assert isinstance(without.replay, PrioritizedReplay) == (part != "without_prioritized")
    assert (noise(without, evaluate=False) is None) == (part == "without_noisy")
    assert without.describe()["double"] == (part != "without_double")
    if part in ("rainbow", "without_double"):
        return
    assert whole.describe() != without.describe()


def test_every_agent_tells_which_of_its_parts_are_active():
    """Often wrong: prioritized replay silently off."""
    noisy, dueling = (functools.partial(QHead, **{part: True}) for part in ("noisy", "dueling"))
    uniform_draws = functools.partial(PRIORITIZED, alpha=0.0)
    plain = build("prioritized_dqn").describe()
    for part, arguments in {
        "noisy": {"head": noisy},
        "dueling": {"head": dueling},
        "update_horizon": {"update_horizon": 3},
        "alpha": {"replay": uniform_draws},
        "replay": {"replay": UNIFORM},
    }.items():
        assert build("prioritized_dqn", **arguments).describe()[part] != plain[part]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"head": QUANTILES}, "IQNAgent.head makes a QuantileHead"),
        ({"num_tau_samples": 0}, "IQNAgent.num_tau_samples is 0"),
        ({"kappa": -1.0}, "IQNAgent.kappa is -1.0"),
        (
            {"head": functools.partial(ImplicitQuantileHead, num_quantile_samples=0)},
            "ImplicitQuantileHead.num_quantile_samples is 0",
        ),
    ],
)
def test_what_an_agent_cannot_learn_from_is_refused(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        build("iqn", **arguments)


class SquashedHead(ImplicitQuantileHead):
    """With a last layer that is not linear, as two of its methods take it to be."""

    def __init__(self, seeds: Seeds, num_actions: int):
        super().__init__(seeds, num_actions)
        self._last.activation = tf.tanh


def test_a_head_that_learns_other_quantiles_than_it_acts_by_is_refused():
    with pytest.raises(
        UserError, match="A SquashedHead does not learn the quantiles that it acts on"
    ):
        build("iqn", head=SquashedHead)


def test_images_are_augmented_and_nothing_else():
    with pytest.raises(UserError, match="RainbowAgent.augmentation needs images"):
        build("rainbow", augmentation=RandomShift)


@pytest.mark.parametrize("arguments", [{"temperature": 0.0}, {"clip_min": 1.0}])
def test_an_impossible_munchausen_is_refused(arguments):
    with pytest.raises(UserError, match="Munchausen.temperature is "):
        Munchausen(**arguments)


def test_parameters_that_are_no_numbers_are_never_saved():
    """Else every resume would begin with them."""
    agent = build("c51")
    variable = agent.learner.online.variables[0]
    variable.assign(np.nan * variable)
    with pytest.raises(UserError, match="the run has diverged"):
        agent.get_state()


def batch_of(agent: ValueAgent, num: int = 4) -> Batch:
    """States 0, 1, 2, 0 with actions 0, 1, 2, 1 that lead to the states 1, 2, 0, 1."""
    one_hot = tf.eye(3)
    return Batch(
        tf.gather(one_hot, [0, 1, 2, 0]),
        tf.constant([0, 1, 2, 1]),
        tf.constant([1.0, 0.0, 0.5, 0.0]),
        tf.constant([0.5, 0.5, 0.0, 0.5]),
        tf.gather(one_hot, [1, 2, 0, 1]),
        NetworkSeeds(*tf.constant([[3, 4], [5, 6], [7, 8], [9, 10]])),
        masks=None,
    )


def loss_of(agent: ValueAgent, batch: Batch) -> Loss:
    return agent.loss(agent.learner.online, agent.learner.target, batch)


def disagreeing(name: str, **arguments: Any) -> ValueAgent:
    """Its networks have parameters of their own, drawn."""
    agent = build(name, **arguments)
    for seed, network in enumerate((agent.learner.online, agent.learner.target)):
        generator = np.random.default_rng(seed)
        for variable in network.variables:
            variable.assign(generator.normal(size=variable.shape) * 0.5)
    return agent


@pytest.mark.parametrize("loss", ["huber", "squared"])
@pytest.mark.parametrize("double", [False, True])
def test_the_loss_of_dqn_by_hand(double, loss):
    """Often wrong: which network chooses a* and which values it; a loss with another name."""
    agent = disagreeing("prioritized_dqn", double=double, loss=loss)
    batch, online, target = batch_of(agent), agent.learner.online, agent.learner.target
    next_q, choice = (net(batch.next_states).numpy() for net in (target, online))
    best = (choice if double else next_q).argmax(axis=1)
    assert (choice.argmax(axis=1) != next_q.argmax(axis=1)).any()
    rows = np.arange(4)
    targets = batch.returns + batch.discounts * next_q[rows, best]
    values = online(batch.states).numpy()[rows, batch.actions]
    errors = (targets - values).numpy()
    squared = errors**2 / (2 if loss == "huber" else 1)
    expected = squared
    if loss == "huber":
        assert (np.abs(errors) > 1).any()
        expected = np.where(np.abs(errors) <= 1, squared, np.abs(errors) - 0.5)
    found = loss_of(agent, batch)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-4)
    np.testing.assert_allclose(found.values, values, rtol=1e-5)
    np.testing.assert_allclose(found.priorities, np.abs(errors), rtol=1e-4)


def quantile_huber_by_hand(quantiles: Any, taus: Any, targets: Any) -> np.ndarray:
    """One number after the other, as in eq. 3 of Dabney et al. (2018b)."""
    losses = np.zeros(len(quantiles))
    for row in range(len(quantiles)):
        for quantile, tau in zip(quantiles[row], taus[row], strict=True):
            for target in targets[row]:
                u = target - quantile
                huber = u * u / 2 if abs(u) <= 1 else abs(u) - 0.5
                losses[row] += abs(tau - (u < 0)) * huber / len(targets[row])
    return losses


@pytest.mark.parametrize("double", [False, True])
def test_the_loss_of_qr_dqn_by_hand(double):
    agent = disagreeing("double_qr_dqn", double=double)
    batch, rows = batch_of(agent), np.arange(4)
    online, target = agent.learner.online, agent.learner.target
    of_next, choice = (net(batch.next_states).numpy() for net in (target, online))
    best = (choice if double else of_next).mean(axis=1).argmax(axis=1)
    targets = batch.returns[:, None] + batch.discounts[:, None] * of_next[rows, :, best]
    quantiles = online(batch.states).numpy()[rows, :, batch.actions]
    taus = np.tile((np.arange(11) + 0.5) / 11, (4, 1))
    found = loss_of(agent, batch)
    expected = quantile_huber_by_hand(quantiles, taus, targets.numpy())
    np.testing.assert_allclose(found.losses, expected, rtol=1e-4)
    errors = targets.numpy().mean(axis=1) - quantiles.mean(axis=1)
    np.testing.assert_allclose(found.priorities, np.abs(errors), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["plain", "double", "munchausen"])
def test_the_loss_of_iqn_by_hand(kind):
    """With the fractions that its seeds draw: N = 8 of s, N' = 7 of s', K = 6 for a choice."""
    soft = {"temperature": 0.3, "alpha": 0.5, "clip_min": -0.2}
    agent = disagreeing(
        "iqn",
        num_tau_prime_samples=7,
        num_quantile_samples=6,
        double=kind == "double",
        munchausen=functools.partial(Munchausen, **soft) if kind == "munchausen" else None,
    )
    batch, rows = batch_of(agent), np.arange(4)
    online, target = agent.learner.online, agent.learner.target

    def drawn(number: int, seed: Any) -> Any:
        return uniform([4, number], seed)

    def quantiles(network: Any, states: Any, taus: Any) -> np.ndarray:
        return network.head.quantiles(network.features(states), taus).numpy()  # [B, Q, A]

    taus = drawn(8, batch.seeds.online)
    of_next = quantiles(target, batch.next_states, drawn(7, batch.seeds.target))
    chooser = online if kind == "double" else target
    next_q = quantiles(chooser, batch.next_states, drawn(6, batch.seeds.choice)).mean(axis=1)
    returns = batch.returns.numpy()
    if kind == "munchausen":

        def log_policy(q: np.ndarray) -> np.ndarray:
            return q / 0.3 - np.log(np.exp(q / 0.3).sum(axis=1, keepdims=True))

        q = quantiles(target, batch.states, drawn(6, batch.seeds.policy)).mean(axis=1)
        returns = returns + 0.5 * np.clip(0.3 * log_policy(q)[rows, batch.actions], -0.2, 0)
        logs = log_policy(next_q)[:, None, :]
        values = (np.exp(logs) * (of_next - 0.3 * logs)).sum(axis=2)
    else:
        values = of_next[rows, :, next_q.argmax(axis=1)]
    targets = returns[:, None] + batch.discounts.numpy()[:, None] * values
    chosen = quantiles(online, batch.states, taus)[rows, :, batch.actions]
    found = loss_of(agent, batch)
    expected = quantile_huber_by_hand(chosen, taus.numpy(), targets)
    np.testing.assert_allclose(found.losses, expected, rtol=1e-3)
    errors = targets.mean(axis=1) - chosen.mean(axis=1)
    np.testing.assert_allclose(found.priorities, np.abs(errors), rtol=1e-3, atol=1e-5)


def test_the_loss_of_munchausen_dqn_by_hand():
    agent = disagreeing(
        "prioritized_dqn", munchausen=lambda: Munchausen(0.3, 0.5, -0.2), loss="squared"
    )
    batch, rows = batch_of(agent), np.arange(4)
    online, target = agent.learner.online, agent.learner.target

    def log_policy(q: np.ndarray) -> np.ndarray:
        return q / 0.3 - np.log(np.exp(q / 0.3).sum(axis=1, keepdims=True))

    q, next_q = (target(x).numpy() for x in (batch.states, batch.next_states))
    bonus = 0.5 * np.clip(0.3 * log_policy(q)[rows, batch.actions], -0.2, 0)
    logs = log_policy(next_q)
    soft_values = (np.exp(logs) * (next_q - 0.3 * logs)).sum(axis=1)
    targets = batch.returns + bonus + batch.discounts * soft_values
    errors = targets - online(batch.states).numpy()[rows, batch.actions]
    np.testing.assert_allclose(loss_of(agent, batch).losses, np.square(errors), rtol=1e-3)


@pytest.mark.parametrize("name", ["double_c51", "double_qr_dqn", "rainbow"])
def test_double_lets_the_online_network_choose(name):
    """Where the networks disagree the losses with and without it differ; where they agree, not."""
    settings = {"noisy": False} if name == "rainbow" else {}
    agents = {double: build(name, double=double, **settings) for double in (False, True)}
    online, target = agents[True].learner.online, agents[True].learner.target
    batch = batch_of(agents[True])

    def losses(double: bool) -> np.ndarray:
        return agents[double].loss(online, target, batch).losses.numpy()

    np.testing.assert_allclose(losses(True), losses(False), rtol=1e-5)
    generator = np.random.default_rng(0)
    for variable in online.variables:
        variable.assign(generator.normal(size=variable.shape))
    assert (np.abs(losses(True) - losses(False)) > 1e-3).any()


def step_on(agent: ValueAgent, weights: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """The metrics and the gradient of one step of an agent's learner on `batch_of`."""
    batch, slots = batch_of(agent), np.zeros((1, 4), np.int64)
    sample = Sample(
        frames=tf.stack([batch.states, batch.next_states], axis=1).numpy()[None],
        actions=batch.actions.numpy()[None],
        returns=batch.returns.numpy()[None],
        discounts=batch.discounts.numpy()[None],
        environments=slots,
        slots=slots,
        weights=np.array([weights], np.float32),
    )
    agent.learner.online.torso.compile_update = False  # for one step it does not pay
    means = agent.learner.learn(sample).metrics.numpy()
    kept = agent.learner.optimizer.gradients
    return means, np.concatenate([np.ravel(gradient) for gradient in kept])


@pytest.mark.parametrize("name", ["prioritized_dqn", "double_qr_dqn", "rainbow"])
def test_importance_weights_reach_the_gradient(name):
    """Often wrong: weights applied after the gradient, or to the logged loss only."""

    def step(weights: list[float]) -> tuple[np.ndarray, np.ndarray]:
        return step_on(build(name, optimizer=Recorder, batch_size=4), weights)

    ones, (first, second) = step([1.0] * 4), (step([1.0, 0, 0, 0]), step([0, 1.0, 1.0, 1.0]))
    np.testing.assert_allclose(first[1] + second[1], ones[1], atol=1e-6)
    assert np.abs(first[1]).max() > 1e-4
    assert (np.abs(first[1] - second[1]) > 1e-5).any()
    np.testing.assert_allclose(first[0], ones[0])  # the logged loss is not weighted


@pytest.mark.parametrize("name", ["prioritized_dqn", "double_qr_dqn", "iqn", "without_categorical"])
def test_priorities_are_absolute_errors(name):
    """Often wrong: the missing absolute value of TD errors."""
    returns = tf.constant([5.0, -5.0, 4.0, -4.0])
    agent = build(name)
    batch = batch_of(agent)._replace(returns=returns, discounts=tf.zeros([4]))
    loss = loss_of(agent, batch)
    np.testing.assert_allclose(loss.priorities, np.abs(returns - loss.values), rtol=1e-4)


def test_the_first_priority_is_the_error_of_the_action_taken():
    """Every step is an episode, so it is |r - Q(s, a)|, to the power alpha."""
    agent = build("first_errors_dqn", num_envs=2, min_replay_history=1000)
    Identity(num_envs=2).play(agent, 30)
    replay = agent.replay
    replay.selector.prepare()
    steps = np.flatnonzero(replay.ring["kinds"][: 2 * 60] == TERMINATED)
    q = values(agent)[replay.ring["frames"][steps].argmax(axis=1), replay.ring["actions"][steps]]
    expected = np.sqrt(np.abs(replay.ring["rewards"][steps] - q) + 1e-6)
    assert len(steps) == 60 and len(set(replay.ring["actions"][steps])) == 3
    np.testing.assert_allclose(replay.selector.tree.get(steps), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["c51", "rainbow"])
def test_priorities_that_are_divergences_do_not_begin_as_errors(name):
    with pytest.raises(UserError, match="needs an agent whose priorities are TD errors"):
        build(name, replay=FIRST_ERRORS)
    assert build("without_categorical", replay=FIRST_ERRORS).actor.tells_values


def test_other_actions_than_the_actors_have_no_first_errors():
    class Contrary(DQNAgent):
        def act(self, observations, evaluate=False, action_masks=None):
            return (super().act(observations, evaluate, action_masks) + 1) % 3

    agent = Contrary(spec(), Seeds(0), replay=FIRST_ERRORS, torso=MLP, min_replay_history=50)
    with pytest.raises(UserError, match="did not return the actions that its actor chose"):
        Identity().play(agent, 2)


@pytest.mark.parametrize("name", ["c51", "without_noisy"])
def test_priorities_of_distributions_are_divergences(name):
    """Cross-entropy less the target's entropy: here a return on an atom, and some between two."""
    agent = build(name)
    returns = tf.constant([1.0, 1.075, 0.5, 0.55])  # atoms lie 0.15 apart, from -0.5
    batch = batch_of(agent)._replace(returns=returns, discounts=tf.zeros([4]))
    loss = loss_of(agent, batch)
    third = np.log(3) - 2 / 3 * np.log(2)  # of masses 1/3 and 2/3
    entropies = [0.0, np.log(2), third, 0.0]
    np.testing.assert_allclose(loss.losses - loss.priorities, entropies, atol=1e-4)


def test_the_priorities_of_each_batch_reach_its_transitions():
    agent = build("prioritized_dqn", optimizer=functools.partial(Adam, learning_rate=0.0))
    given, taken = [], agent.replay.feedback
    agent.replay.feedback = lambda *pair: given.append(pair) or taken(*pair)
    Identity().play(agent, 56)
    ((batch, priorities),) = given
    assert priorities.shape == (8, 32)
    states = batch.frames[:, :, 0].reshape(-1, 3)
    q = agent.actor.inference(states)[np.arange(256), batch.actions.ravel()]
    np.testing.assert_allclose(priorities.ravel(), np.abs(batch.returns.ravel() - q), atol=1e-5)
    at = batch.slots.ravel()  # of one environment, whose slots have not wrapped round
    by_slot = (np.abs(batch.returns.ravel() - q) + 1e-6) ** 0.5
    np.testing.assert_allclose(agent.replay.selector.tree.get(at), by_slot, atol=1e-3)


@pytest.mark.parametrize("limits", [(0.0, 2.0), (-2.0, 0.0)])
def test_zero_is_a_limit_like_any_other(limits):
    """Often wrong: `vmin if vmin else -vmax`."""
    low, high = limits
    own = build("c51", head=functools.partial(CategoricalHead, num_atoms=3, vmin=low, vmax=high))
    for agent in (own, build("rainbow", vmin=low, vmax=high)):
        head = agent.learner.online.head
        for atoms in (head.support.numpy(), head._atoms):
            assert (atoms[0], atoms[-1]) == limits


def test_counters_go_beyond_32_bits():
    """Often wrong: step counters in small integers."""
    agent = build("rainbow")
    Identity().play(agent, 100)
    state = agent.get_state()
    state["steps"] += 2**40
    state["optimizer"]["updates"] += 2**40
    agent.set_state(state)
    Identity().play(agent, 64)
    after = agent.get_state()
    assert after["steps"] == 2**40 + 164
    assert 2**40 + 64 <= after["optimizer"]["updates"] < 2**40 + 200


def test_augmentation_changes_what_an_update_sees_and_not_what_acting_sees():
    seeds = []

    def blind(states: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        seeds.append(seed)
        return tf.zeros_like(states)

    agent = build("without_noisy", augmentation=lambda: blind)
    variables = agent.learner.online.variables
    kernel, *_, last_bias = [variable.numpy() for variable in variables]
    Identity().play(agent, 100)
    assert agent.get_state()["updates"] > 0
    assert len(seeds) == 2  # of s and s', in one traced step
    np.testing.assert_array_equal(variables[0], kernel)
    assert (variables[-1].numpy() != last_bias).any()
    assert len(np.unique(values(agent), axis=0)) == 3


@pytest.mark.parametrize("agent", core(["dqn", "iqn"], "dqn"))
def test_munchausen_learns_the_soft_values_of_the_identity(agent):
    """Every step ends, so the target is r + alpha tau log pi(a|s), clipped: 1 for the right action."""
    build_munchausen = functools.partial(Munchausen, temperature=0.1, alpha=0.5, clip_min=-1.0)
    name = "prioritized_dqn" if agent == "dqn" else "iqn"
    learner = build(name, munchausen=build_munchausen)
    Identity().play(learner, 1600)
    found = values(learner)
    np.testing.assert_allclose(np.diag(found), 1.0, atol=0.2)
    # Wrong: q = 0.5 max(q - 1, -1) has the solution q = -0.5 (at the clip: 0.5 * -1).
    wrong = found[~np.eye(3, dtype=bool)]
    np.testing.assert_allclose(wrong, -0.5, atol=0.35)
    assert learner.describe()["munchausen"] is True


@pytest.mark.parametrize("arguments", [{"update_horizon": 3}, {"double": True}])
def test_munchausen_refuses_what_it_cannot_be_combined_with(arguments):
    with pytest.raises(UserError, match="IQNAgent.munchausen adds the log-policy"):
        build("iqn", munchausen=Munchausen, **arguments)


def test_boltzmann_draws_from_the_softmax_of_the_values():
    exploration = Boltzmann(3, 10, Seeds(0), temperature_train=0.5, temperature_eval=0.0)
    q = np.array([0.0, 0.5, 1.0])
    many = np.tile(q, (60_000, 1))
    drawn = exploration.choose(len(many), lambda: many, 10, False)
    expected = np.exp(q / 0.5) / np.exp(q / 0.5).sum()
    np.testing.assert_allclose(np.bincount(drawn) / len(many), expected, atol=0.01)
    uniform = exploration.choose(len(many), lambda: many, 9, False)
    np.testing.assert_allclose(np.bincount(uniform) / len(many), 1 / 3, atol=0.01)
    assert (exploration.choose(5, lambda: many[:5], 0, True) == 2).all()


def test_epsilon_falls_exponentially():
    exploration = EpsilonGreedy(
        2, 100, Seeds(0), epsilon_train=0.01, epsilon_decay_period=200, epsilon_decay="exponential"
    )
    steps = [0, 100, 200, 300, 1000]
    found = [exploration.epsilon(step) for step in steps]
    np.testing.assert_allclose(found, [1, 1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: EpsilonGreedy(2, 0, Seeds(0), epsilon_decay="cosine"), "choose one of linear"),
        (
            lambda: EpsilonGreedy(2, 0, Seeds(0), epsilon_train=0.0, epsilon_decay="exponential"),
            "which exponential decay never reaches",
        ),
        (lambda: Boltzmann(2, 0, Seeds(0), temperature_train=0.0), "give a number above 0"),
    ],
)
def test_impossible_explorations_are_refused(call, sentence):
    with pytest.raises(UserError, match=sentence):
        call()


def test_gradients_are_clipped_by_their_global_norm():
    norms = []
    for limit in (None, 1e-3):
        agent = build("prioritized_dqn", optimizer=Recorder, batch_size=4, max_gradient_norm=limit)
        _, gradient = step_on(agent, [1.0] * 4)
        norms.append(np.linalg.norm(gradient))
    assert norms[0] > 1e-2
    assert norms[1] == pytest.approx(1e-3, rel=1e-4)
