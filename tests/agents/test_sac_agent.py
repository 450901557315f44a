"""SAC: its gradient step by hand in NumPy, what it stores, how it acts, resumes and refuses."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.acting.inference import NumpyNetwork
from dopamine_lite.agents.agent import Agent
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.networks.layers import normal
from dopamine_lite.networks.torsos import MLP
from dopamine_lite.replay.prioritized_replay import PrioritizedReplay
from dopamine_lite.replay.replay import Sample
from dopamine_lite.replay.ring import FINAL_FRAME
from tests.agents.continuous import HIGH, LOW, Reach, build, small, spec

THREE = np.array([[0.1, -0.2, 0.3], [0.9, 0.0, -0.5], [-1.0, 1.0, 0.0]], np.float32)


class Descent:
    """An optimizer that takes plain steps and keeps the gradients of the last."""

    def __init__(self, rate: float = 0.1):
        self._rate = rate

    def build(self, variables: Any) -> None:
        self._variables = list(variables)

    def apply(self, gradients: Any, scale: Any = 1.0) -> None:
        self.gradients = list(gradients)
        for variable, gradient in zip(self._variables, self.gradients, strict=True):
            variable.assign_sub(self._rate * gradient)

    def learning_rate(self) -> float:
        return self._rate

    def get_state(self) -> dict[str, Any]:
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        pass


PLAIN: dict[str, Any] = {
    f"{name}_optimizer": Descent for name in ("actor", "critic", "temperature")
}


def leaves(state: Any, place: str = "") -> dict[str, Any]:
    """The leaves of a state tree by their places, without the ring's slots."""
    if isinstance(state, dict):
        pairs = ((str(name), value) for name, value in state.items() if name != "slots")
    elif isinstance(state, list | tuple):
        pairs = ((str(index), value) for index, value in enumerate(state))
    else:
        return {place: state}
    return {
        name: leaf for own, value in pairs for name, leaf in leaves(value, f"{place}/{own}").items()
    }


def assert_same_state(one: Agent, other: Agent) -> None:
    first, second = leaves(one.get_state()), leaves(other.get_state())
    assert first.keys() == second.keys() and len(first) > 30
    for name, leaf in first.items():
        np.testing.assert_array_equal(leaf, second[name], err_msg=name)


# The networks of these tests have one hidden layer: kernel, bias, kernel, bias.


def forward(weights: list[np.ndarray], inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    hidden = np.maximum(inputs @ weights[0] + weights[1], 0)
    return hidden, hidden @ weights[2] + weights[3]


def backward(
    weights: list[np.ndarray], inputs: np.ndarray, outputs_gradient: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """Gradients of the weights, and of the inputs."""
    hidden, _ = forward(weights, inputs)
    of_hidden = outputs_gradient @ weights[2].T * (hidden > 0)
    of_weights = [
        *(inputs.T @ of_hidden, of_hidden.sum(axis=0)),
        *(hidden.T @ outputs_gradient, outputs_gradient.sum(axis=0)),
    ]
    return of_weights, of_hidden @ weights[0].T


def drawn_by_hand(
    actor: list[np.ndarray], states: np.ndarray, noise: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """u, tanh(u) and log pi(a|s)."""
    means, log_stds = np.split(forward(actor, states)[1], 2, axis=1)
    unsquashed = means + np.exp(log_stds) * noise
    densities = np.exp(-(noise**2) / 2) / np.sqrt(2 * np.pi) / np.exp(log_stds)
    densities /= 1 - np.tanh(unsquashed) ** 2
    return unsquashed, np.tanh(unsquashed), np.log(densities).sum(axis=1)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fixed", [None, 0.3])
def test_a_gradient_step_is_that_of_algorithm_1(weighted, fixed):
    """Everything in NumPy and in float64, backward passes included.

    Often wrong: the higher of the two critics, the entropy of the next action left out or added to a
    terminal state, a policy loss by old critics, a temperature with the wrong sign, targets that move
    before the critics do.
    """
    replay = {"replay": PrioritizedReplay} if weighted else {}
    start = {"fixed_temperature": fixed} if fixed else {"initial_temperature": 0.7}
    agent = build(tau=0.25, target_entropy=-1.5, **PLAIN, **start, **replay)
    learner = agent.learner
    _, critics, targets, _ = learner.parts
    generator = np.random.default_rng(3)
    for variable in targets.variables:  # so that they are not the critics
        variable.assign(variable + 0.3 * generator.normal(size=variable.shape))
    actor, online, target = (
        [variable.numpy().astype(np.float64) for variable in part.variables]
        for part in (learner.parts.actor, critics, targets)
    )
    size = 8
    states, next_states = generator.uniform(-1, 1, (2, size, 3)).astype(np.float32)
    actions = generator.uniform(-1, 1, (size, 2)).astype(np.float32)
    returns = generator.normal(size=size).astype(np.float32)
    discounts = np.array([0.9, 0.0] * 4, np.float32)
    weights = generator.uniform(0.2, 1, size).astype(np.float32)
    scalars = np.stack([returns, discounts, weights][: 3 if weighted else 2], axis=1)
    seeds = np.array([[1, 2], [3, 4]], np.int32)
    means, priorities = learner._gradient_step(
        tf.constant(np.stack([states, next_states], axis=1)),
        *map(tf.constant, (actions, scalars, seeds, np.float32(0.25))),
    )

    noise, next_noise = (normal([size, 2], seed).numpy().astype(np.float64) for seed in seeds)
    alpha = fixed or 0.7
    _, next_actions, next_logs = drawn_by_hand(actor, next_states, next_noise)
    both = np.concatenate([next_states, next_actions], axis=1)
    next_q = np.minimum(forward(target[:4], both)[1], forward(target[4:], both)[1])[:, 0]
    goals = returns + discounts * (next_q - alpha * next_logs)

    both = np.concatenate([states, actions], axis=1)
    errors, gradients = [], []
    for own in (online[:4], online[4:]):
        error = forward(own, both)[1][:, 0] - goals
        scale = weights if weighted else np.ones(size)
        gradients += backward(own, both, (scale * error / size)[:, None])[0]
        errors.append(error)
    for found, expected in zip(learner.optimizers["critic"].gradients, gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(priorities, np.abs(errors).mean(axis=0), rtol=1e-4)
    moved = [each - 0.1 * gradient for each, gradient in zip(online, gradients, strict=True)]

    _, drawn, logs = drawn_by_hand(actor, states, noise)
    both = np.concatenate([states, drawn], axis=1)
    q_values = [forward(own, both)[1][:, 0] for own in (moved[:4], moved[4:])]
    of_actions = [
        backward(own, both, np.ones((size, 1)))[1][:, 3:] for own in (moved[:4], moved[4:])
    ]
    lower = np.where((q_values[0] < q_values[1])[:, None], *of_actions)
    # d/du of -sum_i log(1 - tanh(u_i)^2) is 2 tanh(u_i); d/d log_std of log N(u) is -1.
    of_unsquashed = (alpha * 2 * drawn - lower * (1 - drawn**2)) / size
    stds = np.exp(np.split(forward(actor, states)[1], 2, axis=1)[1])
    of_outputs = [of_unsquashed, of_unsquashed * stds * noise - alpha / size]
    gradients = backward(actor, states, np.concatenate(of_outputs, axis=1))[0]
    for found, expected in zip(learner.optimizers["actor"].gradients, gradients, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)

    if fixed is None:
        (found,) = learner.optimizers["temperature"].gradients
        assert float(found) == pytest.approx(-(logs.mean() - 1.5), rel=1e-4)
    else:
        assert "temperature" not in learner.optimizers

    for variable, before, after in zip(targets.variables, target, moved, strict=True):
        np.testing.assert_allclose(variable, 0.25 * after + 0.75 * before, rtol=1e-3, atol=1e-5)
    expected = [
        *(0.5 * np.square(errors).sum(axis=0).mean(), (alpha * logs - np.min(q_values, 0)).mean()),
        *((np.array(errors) + goals).mean(), -logs.mean(), alpha),
    ]
    np.testing.assert_allclose(means, expected, rtol=1e-3)


def sample_of(updates: int, seed: int = 0) -> Sample:
    generator = np.random.default_rng(seed)
    shape = (updates, 8)
    return Sample(
        generator.uniform(-1, 1, (*shape, 2, 3)).astype(np.float32),
        generator.uniform(-1, 1, (*shape, 2)).astype(np.float32),
        generator.normal(size=shape).astype(np.float32),
        np.full(shape, 0.9, np.float32),
        *np.zeros((2, *shape), np.int64),
    )


def test_several_steps_in_one_call_are_those_of_several_calls():
    """As XLA compiles them, with a loop and without."""
    alone, together = (build(torso=functools.partial(MLP, hidden_units=(16,))) for _ in range(2))
    sample = sample_of(3)
    together.learner.learn(sample)
    for index in range(3):
        parts = [None if part is None else part[index : index + 1] for part in sample]
        alone.learner.learn(Sample(*parts))
    assert together.learner.updates == alone.learner.updates == 3
    first, second = together.learner.get_state(), alone.learner.get_state()
    for part in ("actor", "critics", "targets", "log_temperature"):
        for name, leaf in leaves(first[part], part).items():
            expected = leaves(second[part], part)[name]
            np.testing.assert_allclose(leaf, expected, rtol=1e-3, atol=1e-5, err_msg=name)


def test_targets_move_every_so_many_gradient_steps():
    """Also within a call, and counted on across calls."""
    agent = build(target_update_period=3, tau=1.0)
    learner = agent.learner

    def are_copies() -> bool:
        pairs = zip(learner.parts.targets.variables, learner.parts.critics.variables, strict=True)
        return all(np.array_equal(target, online) for target, online in pairs)

    found = []
    for updates in (1, 1, 1, 2, 1, 4):
        learner.learn(sample_of(updates))
        found.append(are_copies())
    assert found == [False, False, True, False, True, False]
    assert learner.updates == 10


def test_gradients_of_policy_and_critics_are_clipped_apart():
    agent = build(max_gradient_norm=0.01, **PLAIN)
    scalars = np.ones((8, 2), np.float32) * 5
    frames, actions, *_ = (part[0] for part in sample_of(1)[:2])
    seeds = np.ones((2, 2), np.int32)
    agent.learner._gradient_step(
        *map(tf.constant, (frames, actions, scalars, seeds, np.float32(0)))
    )
    for name in ("actor", "critic"):
        norm = float(tf.linalg.global_norm(agent.learner.optimizers[name].gradients))
        assert norm == pytest.approx(0.01, rel=1e-4)
    (temperature,) = agent.learner.optimizers["temperature"].gradients
    assert abs(float(temperature)) > 0.01  # alone, it would only lose its size


def test_actions_are_the_same_in_numpy_and_in_tensorflow(monkeypatch):
    in_numpy = build()
    monkeypatch.setattr(NumpyNetwork, "supports", lambda network: False)
    in_tensorflow = build()
    kinds = [agent.describe()["acting"] for agent in (in_numpy, in_tensorflow)]
    assert kinds == ["NumPy", "TensorFlow"]
    for _ in range(20):  # beyond the warm-up, which is drawn without a network
        acted = [agent.act(THREE[:2]) for agent in (in_numpy, in_tensorflow)]
        np.testing.assert_allclose(*acted, atol=1e-5)
    evaluated = [agent.act(THREE, evaluate=True) for agent in (in_numpy, in_tensorflow)]
    np.testing.assert_allclose(*evaluated, atol=1e-5)


def test_actions_drawn_in_numpy_have_the_densities_of_the_graph():
    """Mean and deviation of many draws of each, and of what `explain` says."""
    policy = build()._policy
    outputs = np.tile(np.array([[0.5, -1.0, -0.3, 0.4]], np.float32), (20_000, 1))
    drawn = policy.sample(outputs, np.random.default_rng(0))
    in_graph, _ = policy.draw(tf.constant(outputs), tf.constant([1, 2]))
    np.testing.assert_allclose(drawn.mean(axis=0), in_graph.numpy().mean(axis=0), atol=0.02)
    np.testing.assert_allclose(drawn.std(axis=0), in_graph.numpy().std(axis=0), atol=0.02)
    said = policy.explain(outputs[:1])
    acted = policy.to_environment(drawn)
    np.testing.assert_allclose(said["means"][0], acted.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(said["deviations"][0], acted.std(axis=0), atol=0.03)


def test_the_warm_up_is_uniform_within_the_bounds_and_learns_nothing():
    agent = build(min_replay_history=2_000)
    acted = np.array([agent.act(THREE[:2]) for _ in range(1_000)]).reshape(-1, 2)
    assert (acted >= LOW).all() and (acted <= HIGH).all()
    for column, low, high in zip(acted.T, LOW, HIGH, strict=True):
        counts, _ = np.histogram(column, bins=10, range=(low, high))
        assert (abs(counts - 200) < 60).all()
    assert agent.learner.updates == 0


def test_actions_of_the_warm_up_can_be_held():
    """For so many steps of each environment, over a resume too, and drawn anew for the next ones."""
    agent, environment = build(min_replay_history=60, warmup_hold=5), Reach()
    acted = []
    for step in range(30):
        acted.append(agent.act(environment.observations))
        agent.observe(environment.step(acted[-1]))
        if step == 11:
            resumed = build(seed=1, min_replay_history=60, warmup_hold=5)
            resumed.set_state(agent.get_state())
            agent = resumed
    rows = np.array(acted).reshape(6, 5, 4)
    assert (rows == rows[:, :1]).all()
    assert len(np.unique(rows)) == 6 * 4


def test_what_is_stored_is_within_one_and_what_is_played_within_the_bounds():
    """Often wrong: the environment's units in the replay, or the agent's in the environment."""
    agent, environment = build(num_envs=1), Reach(num_envs=1)
    chosen = []
    for _ in range(30):
        played = agent.act(environment.observations)
        chosen.append(agent._acted.decisions.actions)
        np.testing.assert_allclose(played, (chosen[-1] + 1) / 2 * (HIGH - LOW) + LOW, atol=1e-6)
        agent.observe(environment.step(played))
    ring = agent.replay.ring
    held = np.arange(int(ring.stop[0]))
    stored = ring["actions"][held[ring["kinds"][held] != FINAL_FRAME]]
    assert stored.dtype == np.float32 and abs(stored).max() <= 1
    np.testing.assert_array_equal(stored, np.concatenate(chosen))


def test_the_first_update_comes_when_it_is_said():
    for num_envs, period, history in ((1, 7, 20), (2, 8, 21), (3, 2, 20)):
        agent = build(num_envs=num_envs, update_period=period, min_replay_history=history)
        environment = Reach(num_envs)
        while not agent.learner.updates:
            environment.play(agent, 1)
        assert agent.first_update == agent._steps, (num_envs, period)


@pytest.mark.parametrize(("num_envs", "period", "each"), [(1, 4, 2), (2, 1, 1), (3, 2, 3)])
def test_updates_are_counted_over_all_environments(num_envs, period, each):
    agent = build(num_envs=num_envs, update_period=period, updates_per_period=each)
    Reach(num_envs).play(agent, 40)
    learning = [step for step in range(num_envs, 40 * num_envs + 1, num_envs) if step > 20]
    first = learning[0] - num_envs
    assert agent.learner.updates == (learning[-1] // period - first // period) * each


def test_evaluation_draws_nothing_that_training_draws():
    quiet, watched = build(), build()
    environments = Reach(), Reach()
    for _ in range(20):
        for agent, environment in zip((quiet, watched), environments, strict=True):
            environment.play(agent, 1)
        first = watched.act(THREE, evaluate=True)
        np.testing.assert_array_equal(first, watched.act(THREE, evaluate=True))
        watched.explain(THREE)
    assert_same_state(quiet, watched)


def test_evaluation_can_draw_from_a_generator_of_its_own():
    agent = build(sample_in_evaluation=True)
    before = agent.get_state()["actor"]["generators"]
    first, second = (agent.act(THREE, evaluate=True) for _ in range(2))
    assert not np.array_equal(first, second)
    after = agent.get_state()["actor"]["generators"]
    assert before[0] == after[0] and before[1] != after[1]


RESUMED = {
    "plain": {},
    "prioritized": {"replay": PrioritizedReplay, "update_horizon": 3},
    "fixed": {"fixed_temperature": 0.2, "target_update_period": 3, "max_gradient_norm": 1.0},
    "uneven": {"update_period": 3, "updates_per_period": 2, "sample_in_evaluation": True},
}


@pytest.mark.parametrize("name", RESUMED)
def test_an_agent_goes_on_as_if_it_had_never_stopped(name):
    whole, environment = build(**RESUMED[name]), Reach()
    environment.play(whole, 30)  # ten whole episodes
    whole.act(THREE, evaluate=True)
    resumed = build(seed=1, **RESUMED[name])
    resumed.set_state(whole.get_state())
    assert_same_state(whole, resumed)
    other = Reach(seed=9)
    twin = Reach(seed=9)
    other.play(whole, 24)
    twin.play(resumed, 24)
    assert whole.learner.updates > 20
    assert_same_state(whole, resumed)
    np.testing.assert_array_equal(
        whole.act(THREE, evaluate=True), resumed.act(THREE, evaluate=True)
    )


def test_priorities_come_back_to_the_replay():
    agent = build(replay=PrioritizedReplay)
    fed: list[tuple[Sample, np.ndarray]] = []
    feedback = agent.replay.feedback

    def spy(sample: Sample, priorities: np.ndarray) -> None:
        fed.append((sample, priorities))
        feedback(sample, priorities)

    agent.replay.feedback = spy
    Reach().play(agent, 15)
    assert len(fed) == 5 and fed[0][1].shape == (2, 8)  # two updates after a step in both
    assert all(sample.weights is not None for sample, _ in fed)
    assert all((priorities > 0).all() for _, priorities in fed)


def test_start_from_takes_weights_and_temperature_and_nothing_else():
    trained, fresh = build(), build(seed=1)
    Reach().play(trained, 30)
    fresh.start_from(trained.get_state())
    np.testing.assert_array_equal(trained.act(THREE, True), fresh.act(THREE, True))
    state = fresh.get_state()["learner"]
    then = trained.get_state()["learner"]
    assert state["updates"] == 0 and state["log_temperature"] == then["log_temperature"]
    for part in ("critics", "targets"):
        for name, leaf in leaves(then["critics"]).items():
            np.testing.assert_array_equal(leaf, leaves(state[part])[name])
    assert state["optimizers"]["actor"]["updates"] == 0
    fixed = build(fixed_temperature=0.2)
    fixed.start_from(trained.get_state())
    assert np.exp(fixed.get_state()["learner"]["log_temperature"]) == pytest.approx(0.2)


def test_an_exported_policy_takes_the_actions_of_evaluation(tmp_path):
    agent = build()
    agent.export(tmp_path / "policy")
    policy = tf.saved_model.load(str(tmp_path / "policy")).signatures["serving_default"]
    exported = policy(observations=tf.constant(THREE))
    np.testing.assert_allclose(exported["actions"], agent.act(THREE, True), atol=1e-6)
    assert exported["outputs"].shape == (3, 4)
    with pytest.raises(UserError, match="export it with `format` savedmodel"):
        agent.export(tmp_path / "policy.keras", format="keras")


def test_what_it_says_of_itself():
    agent = build(replay=PrioritizedReplay)
    said = agent.describe()
    # The policy: 3 * 16 + 16 + 16 * 4 + 4; a critic: (3 + 2) * 16 + 16 + 16 + 1.
    assert said["parameters"] == 132 + 2 * 113
    assert said["replay"] == "PrioritizedReplay" and said["torso"] == "3 MLP"
    assert said["target_entropy"] == -2 and said["learned_temperature"]
    assert agent.memory_bytes > 1_000_000 * (3 + 2 + 1) * 4
    Reach().play(agent, 30)
    metrics = agent.metrics()
    assert {*agent.learner.metric_names, "critic_learning_rate"} <= metrics.keys()
    assert all(np.isfinite(list(metrics.values())))


def test_whole_numbers_are_rounded_and_never_leave_their_bounds():
    space = gymnasium.spaces.Box(np.array([-1, 0]), np.array([2, 2**31 - 1]), dtype=np.int32)
    agent = build(spec=spec(action_space=space), num_envs=1)
    acted = agent._policy.to_environment(np.array([[-1, -1], [0.2, 1], [1, 0]], np.float32))
    assert acted.dtype == np.int32
    np.testing.assert_array_equal(acted[:, 0], [-1, 1, 2])
    assert all(space.contains(action) for action in acted)


def test_truth_values_are_rounded(tmp_path):
    """Often wrong: every number but zero is true."""
    space = gymnasium.spaces.Box(0, 1, (2,), bool)
    agent = build(spec=spec(action_space=space), num_envs=1)
    actions = np.array([[-0.9, 0.9], [-0.1, 0.1]], np.float32)
    np.testing.assert_array_equal(agent._policy.to_environment(actions), [[False, True]] * 2)
    share = agent.act(np.zeros((1_000, 3), np.float32)).mean()
    assert 0.45 < share < 0.55


REFUSED = [
    (
        {"action_space": gymnasium.spaces.Discrete(3)},
        r"SACAgent needs a Box action space, but Reach-v0 has Discrete\(3\): choose an agent for",
    ),
    (
        {"action_space": gymnasium.spaces.Box(-np.inf, 1, (2,))},
        "SACAgent scales its actions to the bounds .* not finite in Reach-v0 .*: wrap the environment",
    ),
    (
        {"observation_space": gymnasium.spaces.Box(0, 255, (4, 4), np.uint8)},
        "SACAgent reads one row of numbers, but an observation of Reach-v0 is Box.*: wrap .*@Flatten",
    ),
    (
        {"observation_space": gymnasium.spaces.Discrete(5)},
        r"SACAgent reads one row of numbers, .* is Discrete\(5\): wrap .*@Flatten",
    ),
    (
        {"observation_space": gymnasium.spaces.Box(-1, 1, (4, 3)), "stack_size": 4},
        "SACAgent reads one row of numbers, .* stack of 4 frames",
    ),
    ({"action_masks": True}, "SACAgent cannot follow action masks, but Reach-v0 says"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED)
def test_what_it_cannot_play_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        build(spec=spec(**changes))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("tau", 0, "SACAgent.tau is 0, so the target critics would never move"),
        ("tau", 1.5, "SACAgent.tau is 1.5: give a number from 0 to 1"),
        ("gamma", -1, "SACAgent.gamma is -1"),
        ("target_update_period", 0, "SACAgent.target_update_period is 0"),
        ("initial_temperature", 0, "SACAgent.initial_temperature is 0: give a number above 0"),
        ("fixed_temperature", -0.1, "SACAgent.fixed_temperature is -0.1"),
        ("target_entropy", "auto", "SACAgent.target_entropy is 'auto': give a number"),
        ("max_gradient_norm", 0, "SACAgent.max_gradient_norm is 0"),
        ("min_replay_history", 1, "SACAgent.min_replay_history is 1: give a whole number, 2 or"),
        ("warmup_hold", 0, "SACAgent.warmup_hold is 0"),
        ("update_period", 0, "SACAgent.update_period is 0"),
        ("target_entropy", 1.4, "no policy reaches it: .* at most 1.39 nats"),
        ("batch_size", 10**10, "An update of SACAgent needs .* lower SACAgent.batch_size"),
        ("sample_in_evaluation", 1, "SACAgent.sample_in_evaluation is 1: give True or False"),
    ],
)
def test_numbers_with_which_nothing_could_be_learned_are_refused(name, value, sentence):
    with pytest.raises(UserError, match=sentence):
        build(**{name: value})


def test_an_unknown_setting_is_refused():
    with pytest.raises(TypeError, match="entropy"):
        build(entropy=1)


def test_networks_that_begin_differently_each_time_are_refused(monkeypatch):
    class Careless(MLP):
        def __init__(self, seeds: Seeds):
            super().__init__(Seeds(np.random.default_rng().integers(10**6)), (4,))

    with pytest.raises(UserError, match="begins with different numbers each time"):
        build(torso=Careless)


class Traced(Exception):
    pass


def test_the_update_is_compiled_in_the_first_step_of_training(monkeypatch):
    def traced(*_: Any) -> None:
        raise Traced

    agent = build()
    monkeypatch.setattr(agent.learner, "_gradient_step", traced)
    agent.act(THREE[:2], evaluate=True)
    with pytest.raises(Traced):
        Reach().play(agent, 1)


def test_it_learns_to_reach():
    """At random a step costs 1/3 + 0.64 / 3 for each of two numbers, 1.09 in all."""
    wider = functools.partial(small, units=32)
    agent, environment = build(batch_size=64, torso=wider), Reach()
    environment.play(agent, 600)
    assert np.mean(environment.rewards[:10]) < -0.7
    others = Reach(seed=7)
    for _ in range(100):
        others.step(agent.act(others.observations, evaluate=True))
    assert np.mean(others.rewards) > -0.1
    assert agent.metrics()["temperature"] < 0.5  # it began at 1
