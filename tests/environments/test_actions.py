"""What an agent chooses is held against the action space and the masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.actions import ActionContract
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.runner.runner import Runner

BOX = spaces.Box(-1, 1, (3,), np.float32)
DISCRETE = spaces.Discrete(3, start=2)


def contract(space: spaces.Space) -> ActionContract:
    return ActionContract(EnvironmentSpec("Own", BOX, space, 2), "Mine")


WRONG: dict[str, tuple[spaces.Space, Any, str]] = {
    "above": (DISCRETE, np.array([2, 5]), r"chose 5, .*: return integers from 2 to 4"),
    "below": (DISCRETE, np.array([1, 2]), r"chose 1, .*: return integers from 2 to 4"),
    "fractions": (DISCRETE, np.array([2.0, 3.0]), "return integers"),
    "truths": (DISCRETE, np.array([True, False]), "return integers"),
    "one": (DISCRETE, 2, r"chose 2, .*: return an array of shape \(2,\)"),
    "none": (DISCRETE, None, "chose None"),
    "list": (DISCRETE, [2, 3], "return an array"),
    "column": (DISCRETE, np.array([[2], [3]]), r"shape \(2, 1\) and dtype int64, .* is 2 and"),
    "too many": (DISCRETE, np.array([2, 3, 4]), r"shape \(3,\)"),
    "nan": (BOX, np.array([[0, 0, 0], [0, np.nan, 0]]), "chose nan, .*: return finite numbers"),
    "flat": (BOX, np.zeros(3), r"return an array of shape \(2, 3\)"),
    "objects": (BOX, np.full((2, 3), None), "return numbers"),
}


@pytest.mark.parametrize(("space", "actions", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_no_action_is_refused(space, actions, sentence):
    with pytest.raises(UserError, match=f"^Mine {sentence}|^Mine chose .*{sentence}"):
        contract(space).check(actions, None)


def test_actions_are_legal_ones():
    masks = np.array([[True, False, True], [True, True, False]])
    contract(DISCRETE).check(np.array([4, 3]), masks)
    with pytest.raises(UserError, match="chose the action 4 in environment 1, which is not legal"):
        contract(DISCRETE).check(np.array([4, 4]), masks)


def test_real_numbers_beyond_the_bounds_are_the_environments():
    contract(BOX).check(np.full((2, 3), 5.0), None)
    contract(spaces.MultiDiscrete([2, 2])).check(np.zeros((2, 2), np.int64), None)
    contract(spaces.MultiBinary(3)).check(np.zeros((2, 3), np.int8), None)


@pytest.mark.parametrize("evaluate", [False, True])
def test_no_environment_is_given_what_is_no_action(tmp_path: Path, evaluate):
    class Wrong(RandomAgent):
        def act(self, observations, evaluate_now=False, action_masks=None):
            actions = super().act(observations, evaluate_now, action_masks)
            return actions + 7 if evaluate_now is evaluate else actions

    runner = Runner(
        tmp_path,
        agent=Wrong,
        environment=lambda **settings: create_environment("CartPole-v1", **settings),
        num_iterations=1,
        training_steps=10,
        evaluation_episodes=1,
    )
    with pytest.raises(UserError, match="^Wrong chose "):
        runner.run()
