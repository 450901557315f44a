"""What lies inside an environment: running statistics are told of, the lowest limit holds."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
from gymnasium import wrappers

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.environments.checked import limit_not_held
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.inner_wrappers import notes_on_memory
from dopamine_lite.reporting.console import LineConsole
from dopamine_lite.runner.runner import Runner
from tests.environments.peculiar import Plain, registered


class OwnNormalization(wrappers.NormalizeObservation):
    """A user's."""


class Holder(Plain):
    """Holds an environment without being a wrapper."""

    def __init__(self, inside: Any):
        self.inside = inside


class OwnMoments(Plain):
    """Normalizes itself, by moments of its own making."""

    def __init__(self):
        self.moments = SimpleNamespace(mean=0.0, var=1.0, count=0)


def fixed() -> gymnasium.Env:
    env = wrappers.NormalizeObservation(Plain())
    env.update_running_mean = False
    return env


def vector() -> gymnasium.vector.VectorEnv:
    return wrappers.vector.NormalizeReward(gymnasium.vector.SyncVectorEnv([Plain]))


OBSERVATIONS, REWARDS = "PPOAgent.normalize_observations", "PPOAgent.normalize_rewards"


@pytest.mark.parametrize(
    ("make", "name", "setting"),
    [
        (lambda: wrappers.NormalizeObservation(Plain()), "NormalizeObservation", OBSERVATIONS),
        (lambda: wrappers.NormalizeReward(Plain()), "NormalizeReward", REWARDS),
        (lambda: OwnNormalization(Plain()), "OwnNormalization", OBSERVATIONS),
        (
            lambda: wrappers.TimeLimit(wrappers.NormalizeReward(Plain()), 3),
            "NormalizeReward",
            REWARDS,
        ),
        (lambda: Holder(fixed().env), None, None),
        (lambda: Holder(OwnNormalization(Plain())), "OwnNormalization", OBSERVATIONS),
        (OwnMoments, "OwnMoments", OBSERVATIONS),
        (vector, "NormalizeReward", REWARDS),
        (
            lambda: gymnasium.vector.SyncVectorEnv([OwnMoments, OwnMoments]),
            "OwnMoments",
            OBSERVATIONS,
        ),
        (fixed, None, None),
        (lambda: wrappers.RecordEpisodeStatistics(Plain()), None, None),
        (lambda: wrappers.FrameStackObservation(Plain(), 2), None, None),
        (lambda: gymnasium.make("CartPole-v1"), None, None),
    ],
)
def test_running_statistics_are_told_of(make, name, setting):
    notes = notes_on_memory("Peculiar-v0", make())
    assert len(notes) == (name is not None)
    if name is not None:
        assert f"Peculiar-v0 has {name} inside, whose running statistics begin anew" in notes[0]
        assert f"set {setting}" in notes[0]


def test_a_run_says_it_once(tmp_path, capfd):
    normalized = functools.partial(OwnNormalization, Plain())
    with registered(Normalized=normalized):
        import sys

        Runner(
            tmp_path,
            agent=RandomAgent,
            environment=functools.partial(create_environment, "Normalized-v0"),
            num_iterations=2,
            training_steps=20,
            evaluation_episodes=1,
            console=LineConsole(sys.stderr),
        ).run()
    assert capfd.readouterr().err.count("has OwnNormalization inside") == 1


@pytest.mark.parametrize("asked", [501, 500, 20, None])
def test_a_limit_that_holds_needs_no_word(asked):
    environment = create_environment("CartPole-v1", max_steps_per_episode=asked)
    assert environment.spec.max_steps_per_episode == (asked or 500)
    assert limit_not_held(environment.spec, asked) is None


def test_a_limit_inside_an_environment_is_a_limit():
    with registered(Limited=lambda: wrappers.TimeLimit(Plain(), 4)):
        environment = create_environment("Limited-v0", max_steps_per_episode=5)
        assert environment.spec.max_steps_per_episode == 4
        assert environment.spec.protocol["max_steps_per_episode"] == 4
        assert limit_not_held(environment.spec, 3) is not None
        assert limit_not_held(environment.spec, 5) == (
            "Runner.max_steps_per_episode is 5, but Limited-v0 does not keep to it: its own limit is "
            "4 steps."
        )


def test_a_wrapper_with_moments_of_its_own_is_named():
    class Centered(gymnasium.ObservationWrapper):
        mean, var, count = 0.0, 1.0, 0

        def __init__(self, env):
            super().__init__(env)
            self.mean, self.var, self.count = 0.0, 1.0, 0

        def observation(self, observation):
            return observation

    (note,) = notes_on_memory(
        "Own-v0", gymnasium.wrappers.OrderEnforcing(Centered(gymnasium.make("CartPole-v1")))
    )
    assert note.startswith("Own-v0 has Centered inside")
