"""Names of actions: one for each, from the environment or from a table of known ones."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from dopamine_lite.environments.action_names import in_words, known_names
from dopamine_lite.environments.factory import create_environment

spaces = gymnasium.spaces


@pytest.mark.parametrize(
    ("id", "kwargs", "names"),
    [
        ("CartPole-v1", {}, ("push left", "push right")),
        ("CliffWalking-v1", {}, ("up", "right", "down", "left")),
        ("GridWorld-v0", {}, ("up", "right", "down", "left")),
        ("Pendulum-v1", {}, ("torque",)),
        ("RocketLander-v0", {}, ("throttle", "gimbal", "side thruster")),
        ("LunarLander-v3", {"continuous": True}, ("main engine", "side engines")),
        ("MaximisationBias-v0", {}, ()),
        ("ALE/Pong-v5", {}, ("nothing", "fire", "right", "left", "right fire", "left fire")),
    ],
)
def test_known_environments_have_names(id, kwargs, names):
    environment = create_environment(id, kwargs=kwargs)
    assert environment.spec.action_names == names
    environment.close()


class Named:
    """An environment with the method that Atari's have."""

    def __init__(self, told):
        self.unwrapped = self
        self._told = told

    def get_action_meanings(self):
        if isinstance(self._told, Exception):
            raise self._told
        return self._told


@pytest.mark.parametrize(
    ("told", "names"),
    [
        (["stay", "go"], ("stay", "go")),
        (["a\x1b[31m", "b"], ("a\\x1b[31m", "b")),
        (["x" * 100, "b"], ("x" * 24, "b")),
        (["one"], ("push left", "push right")),
        (["", ""], ("push left", "push right")),
        ("ab", ("push left", "push right")),
        (None, ("push left", "push right")),
        (RuntimeError(), ("push left", "push right")),
    ],
)
def test_an_environments_own_names_come_first_where_they_fit(told, names):
    assert known_names("CartPole-v1", spaces.Discrete(2), Named(told)) == names


def test_an_option_that_changes_the_actions_changes_their_names():
    boxes = [spaces.Box(-1, 1, (size,), np.float32) for size in (3, 5)]
    assert known_names("module:CarRacing-v3", boxes[0]) == ("steering", "gas", "brake")
    assert known_names("CarRacing-v3", spaces.Discrete(5))[0] == "nothing"
    assert known_names("CarRacing-v3", boxes[1]) != known_names("CarRacing-v3", boxes[0])
    assert known_names("CartPole-v1", spaces.MultiDiscrete([2])) == ()


def test_ataris_words():
    assert in_words("UPRIGHTFIRE") == "up right fire"
    assert in_words("NOOP") == "nothing" and in_words("RESET") == "reset"
