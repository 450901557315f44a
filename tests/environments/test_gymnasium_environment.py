"""Gymnasium's environments and a user's own, in the loop and in a vector implementation."""

from __future__ import annotations

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.gymnasium_environment import (
    GymnasiumEnvironment,
    native_vector_environment,
)
from dopamine_lite.environments.vector_environment import VectorEnvironment

LENGTH = 3  # steps in an episode of Counter


class Counter(gymnasium.Env):
    """Observes the number of its step, in 64 bits."""

    observation_space = gymnasium.spaces.Box(0, LENGTH, (2,), np.float64)
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self):
        self._observation = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._observation[:] = 0
        return self._told(), {}

    def step(self, action):
        self._observation += 1
        ended = bool(self._observation[0] == LENGTH)
        return self._told(), float(action), ended, False, {}

    def _told(self):
        return self._observation.copy()


class ReusingCounter(Counter):
    """Tells it in one array that it writes to again and again."""

    def _told(self):
        return self._observation


class DictCounter(Counter):
    """The same in a dictionary, with the number's last bit as a name."""

    observation_space = gymnasium.spaces.Dict(
        {"count": Counter.observation_space, "bit": gymnasium.spaces.Discrete(2)}
    )

    def _told(self):
        return {"count": self._observation.copy(), "bit": int(self._observation[0]) % 2}


class OtherDictCounter(DictCounter):
    """Leaves out what it declares."""

    def _told(self):
        return {"count": self._observation.copy()}


class WordCounter(Counter):
    """Declares words."""

    observation_space = gymnasium.spaces.Text(9)


class VectorDictCounter(SyncVectorEnv):
    """Dictionary counters stepped together, by a vector implementation of their own."""

    def __init__(self, num_envs, max_episode_steps=None):
        super().__init__([DictCounter] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


class TextCounter(Counter):
    """Draws, but only letters."""

    metadata = {"render_modes": ["ansi"]}

    def __init__(self, render_mode=None):
        super().__init__()
        self.render_mode = render_mode


class NoisyCounter(Counter):
    """Begins at a number that it draws."""

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._observation[:] = self.np_random.random(2)
        return self._told(), {}


class VectorCounter(SyncVectorEnv):
    """Counters stepped together, by a vector implementation of their own."""

    kind = "Counter-v0"

    def __init__(self, num_envs, max_episode_steps=None):
        def counter():
            return gymnasium.make(self.kind, max_episode_steps)

        super().__init__([counter] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


class VectorNoisyCounter(VectorCounter):
    kind = "NoisyCounter-v0"


def lacks_a_package():
    raise gymnasium.error.DependencyNotInstalled("run `pip install counters`")


def lacks_a_module():
    import no_such_module  # noqa: F401


@pytest.fixture(autouse=True)
def registered():
    own = {
        "Counter-v0": Counter,
        "ReusingCounter-v0": ReusingCounter,
        "DictCounter-v0": DictCounter,
        "OtherDictCounter-v0": OtherDictCounter,
        "WordCounter-v0": WordCounter,
        "NoisyCounter-v0": NoisyCounter,
        "TextCounter-v0": TextCounter,
        "Packageless-v0": lacks_a_package,
        "Moduleless-v0": lacks_a_module,
    }
    for id, entry_point in own.items():
        gymnasium.register(id, entry_point)
    gymnasium.register("Fast-v0", Counter, vector_entry_point=VectorCounter)
    gymnasium.register("FastNoisy-v0", NoisyCounter, vector_entry_point=VectorNoisyCounter)
    yield
    for id in (*own, "Fast-v0", "FastNoisy-v0"):
        del gymnasium.registry[id]


def test_a_vector_implementation_is_seeded():
    first, same, other = (create_environment("FastNoisy-v0", 2, seed=s) for s in (1, 1, 2))
    assert type(first) is VectorEnvironment
    observations = first.reset()
    assert (observations[0] != observations[1]).any()
    np.testing.assert_array_equal(observations, same.reset())
    assert (observations != other.reset()).any()


@pytest.mark.parametrize("id", ["Counter-v0", "ReusingCounter-v0", "Fast-v0"])
@pytest.mark.parametrize("num_envs", [1, 2])
def test_a_users_own_environment(id, num_envs):
    environment = create_environment(id, num_envs)
    native = id == "Fast-v0" and num_envs > 1
    assert type(environment) is (VectorEnvironment if native else GymnasiumEnvironment)
    actions = np.ones(num_envs, int)
    seen = [environment.reset()]
    steps = []
    for _ in range(2 * LENGTH):
        steps.append(environment.step(actions))
        seen.append(steps[-1].observations)
    counts = [0, 1, 2, 0, 1, 2, 0]
    assert [array.tolist() for array in seen] == [[[n, n]] * num_envs for n in counts]
    following = [step.next_observations[0, 0] for step in steps]
    assert following == [1, 2, 3, 1, 2, 3]
    assert [bool(step.terminated.all()) for step in steps] == [False, False, True] * 2
    for array in (*seen, *(step.next_observations for step in steps)):
        assert array.dtype == environment.spec.observation_space.dtype == np.float32
    for step in steps:
        assert step.rewards.tolist() == [1.0] * num_envs and step.rewards.dtype == np.float64
        assert (step.next_observations is step.observations) == (not step.terminated.any())
    environment.close()


@pytest.mark.parametrize("id", ["Counter-v0", "Fast-v0"])
@pytest.mark.parametrize("limit, truncated", [(LENGTH - 1, True), (LENGTH, False)])
def test_an_episode_that_terminates_at_its_limit_is_not_truncated(id, limit, truncated):
    """Often wrong: truncation treated as terminal, or terminal as truncation."""
    environment = create_environment(id, num_envs=2, max_steps_per_episode=limit)
    environment.reset()
    for _ in range(limit):
        result = environment.step(np.zeros(2, int))
    assert result.truncated.tolist() == [truncated] * 2
    assert result.terminated.tolist() == [not truncated] * 2
    assert environment.spec.protocol == {"environment": id, "max_steps_per_episode": limit}


@pytest.mark.parametrize("id", ["CartPole-v1", "Acrobot-v1"])
def test_the_loop_agrees_with_gymnasiums_own_vector_environment(id):
    loop = GymnasiumEnvironment(id, num_envs=3, seed=1, max_steps_per_episode=40)
    envs = SyncVectorEnv(
        [lambda: gymnasium.make(id, max_episode_steps=40)] * 3,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    vector = VectorEnvironment(envs, loop.spec, [int(seed) for seed in loop._seeds])
    np.testing.assert_array_equal(loop.reset(), vector.reset())
    generator = np.random.default_rng(0)
    for _ in range(150):
        actions = generator.integers(2, size=3)
        for one, two in zip(loop.step(actions), vector.step(actions), strict=True):
            np.testing.assert_array_equal(one, two)


def test_observations_that_are_numbers():
    environment = GymnasiumEnvironment("FrozenLake-v1", num_envs=2)
    assert environment.reset().tolist() == [0, 0]
    result = environment.step(np.array([2, 2]))
    assert result.observations.shape == (2,) and result.observations.dtype == np.int64


def test_actions_that_are_vectors():
    environment = GymnasiumEnvironment("BipedalWalker-v3", num_envs=2)
    environment.reset()
    result = environment.step(np.zeros((2, 4), np.float32))
    assert result.observations.shape == (2, 24) and result.rewards.shape == (2,)
    environment.close()


def test_an_id_can_name_the_module_that_registers_it(tmp_path, monkeypatch):
    (tmp_path / "registers_own.py").write_text(
        "import gymnasium\n"
        "cart = 'gymnasium.envs.classic_control:CartPoleEnv'\n"
        "gymnasium.register('Own-v0', cart, max_episode_steps=7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    environment = create_environment("registers_own:Own-v0", num_envs=2)
    assert environment.spec.max_steps_per_episode == 7
    environment.close()


def test_nothing_is_said_about_newer_versions():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        create_environment("CartPole-v0").close()


def test_dictionaries_come_packed_to_the_end_of_an_episode_and_beyond():
    environment = create_environment("DictCounter-v0", num_envs=2)
    space = environment.spec.observation_space
    assert list(space.entries) == ["bit", "count"]

    def counts(rows):
        assert all(space.contains(row) for row in rows)
        entries = space.unpack(rows)
        np.testing.assert_array_equal(entries["bit"], entries["count"][:, 0] % 2)
        return entries["count"][:, 0].tolist()

    assert counts(environment.reset()) == [0, 0]
    for number in range(1, LENGTH):
        assert counts(environment.step(np.zeros(2, int)).observations) == [number] * 2
    result = environment.step(np.zeros(2, int))
    assert result.terminated.all()
    assert counts(result.observations) == [0, 0]
    assert counts(result.next_observations) == [LENGTH] * 2
    with pytest.raises(UserError, match="OtherDictCounter-v0 has the entries count, but its space"):
        create_environment("OtherDictCounter-v0")


def test_dictionaries_are_stepped_in_a_loop():
    gymnasium.registry["DictCounter-v0"].vector_entry_point = VectorDictCounter
    assert native_vector_environment("DictCounter-v0", 2, 0, None) is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"id": "WordCounter-v0"}, "WordCounter-v0 has observations of Text.*: give it arrays"),
        ({"id": "Countr-v0"}, "did you mean Counter-v0"),
        ({"id": "LunarLander-v2"}, "LunarLander-v3"),
        ({"id": "no_such_module:Counter-v3"}, "no environment 'no_such_module:Counter-v3'"),
        ({"id": "Packageless-v0"}, "not installed: run `pip install counters`"),
        ({"id": "Moduleless-v0"}, "No module named 'no_such_module', run `pip install no_such"),
        ({"id": "Counter-v0", "render": True}, "does not draw: it takes no render_mode"),
        ({"id": "TextCounter-v0", "render": True}, r"does not draw: .* render modes \['ansi'\]"),
        ({"id": "PongNoFrameskip-v4"}, "write 'ALE/Pong-v5'"),
        ({"id": "Pogn-v5"}, "did you mean .*ALE/Pong-v5"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        create_environment(**arguments)


def test_frames_can_only_be_drawn_where_that_was_asked_for():
    environment = GymnasiumEnvironment("CartPole-v1")
    environment.reset()
    with pytest.raises(ValueError, match="render=True"):
        environment.render()
