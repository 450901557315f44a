"""`check-environment`: plays an environment, says what it is like, what breaks a rule and what fits."""

from __future__ import annotations

import re
from typing import Any

import gymnasium
import pytest

from tests.environments import peculiar
from tests.environments.peculiar import ALL, NONE, Plain, masked, paid, registered, seen


@pytest.fixture
def checked(cli):
    """The check of an environment of this class."""

    def call(entry_point: Any, *arguments: object) -> Any:
        with registered(Odd=entry_point):
            return cli("check-environment", "Odd-v0", "--steps", 30, *arguments)

    return call


def unfilled(text: str) -> str:
    """Sentences that go on in the next line in one."""
    return re.sub(r"\n(?!- |Warning: |It follows |\n|$) *", " ", text)


def test_one_that_keeps_to_the_rules(cli):
    shown = cli("check-environment", "CartPole-v1", "--steps", 300, "--num_envs", 2)
    assert shown.status == 0 and shown.err == "", shown.err
    lines = unfilled(shown.out).splitlines()
    title = "CartPole-v1 with random legal actions: 2 environments, 300 agent steps, seed 0"
    assert lines[0] == title
    assert lines[-1] == "It follows the rules for environments: no violations, no warnings."
    for line in (
        "- Actions are Discrete(2): push left, push right.",
        "- An episode has at most 500 agent steps.",
        "- Every action is always legal: there are no action masks.",
        "- Created again with the same seed and given the same actions, it repeats itself.",
        "- With a different seed it shows something different.",
        "- Environments that are played at once differ even if they are given the same actions.",
        "- reset(seed=...) alone gives the same episode again.",
        "- Observations do not change after they have been returned.",
        "- It draws pictures of 600 x 400 pixels.",
        "- Torsos that fit: MLP.",
    ):
        assert line in lines
    fitting = next(line for line in lines if line.startswith("- Agents that fit: "))
    assert "DQNAgent" in fitting and "PPOAgent" in fitting and "SarsaAgent" not in fitting
    refusing = next(line for line in lines if "SarsaAgent do not fit:" in line)
    assert "needs discrete observations" in refusing and "In call to" not in refusing


def test_continuous_actions_are_for_policies(checked):
    class Continuous(Plain):
        action_space = gymnasium.spaces.Box(-1, 1, (2,))

    shown = checked(Continuous)
    assert shown.status == 0
    said = unfilled(shown.out)
    assert "\n- Agents that fit: PPOAgent, RandomAgent, ReinforceAgent, SACAgent.\n" in said
    assert "QRDQNAgent, RainbowAgent do not fit: C51Agent needs a discrete action space" in said


@pytest.mark.parametrize(
    ("entry_point", "sentence"),
    [
        (seen(0.5), "returned 0.5 as observation at the start of an episode (environment 0)"),
        (seen(-1, peculiar.spaces.Discrete(4)), "returned the observation -1 at the start"),
        (paid(float("nan"), 5), "returned nan as reward in step 5 of an episode (environment 0)"),
        (masked(None, ALL), "names legal actions in info['action_mask'] in step 1"),
        (masked(ALL, NONE), "names no legal action in step 1 of an episode (environment 0)"),
        (peculiar.FourValues, "the step of FourValues returned 4 values"),
    ],
)
def test_a_violation_is_said_as_a_run_says_it(checked, entry_point, sentence):
    refused = checked(entry_point)
    assert refused.status == 2
    assert refused.err.startswith("dopamine-lite: Odd-v0") and sentence in refused.err
    assert refused.err.count("\n") == 1 and "no violations" not in refused.out


def test_a_mistake_of_the_environments_keeps_its_traceback(checked):
    with pytest.raises(KeyError, match="price"):
        checked(peculiar.InitMistake)


class Drawing(Plain):
    """Draws by a generator that nothing seeds; its pictures are a mistake."""

    metadata: Any = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None, rows: int = 1):
        self.rows = rows

    def observation(self, step: int) -> Any:
        return self.observation_space.sample()

    def render(self) -> Any:
        raise ZeroDivisionError("no brush")


@pytest.mark.exhaustive
def test_warnings_are_told_and_are_no_failure(checked):
    shown = checked(Drawing, "--gin_bindings", "create_environment.kwargs = {'rows': 2}")
    assert shown.status == 0, shown.err
    assert "- The same seed does not give the same episodes: see below.\n" in shown.out
    assert "- It cannot be filmed by `record`: ZeroDivisionError: no brush\n" in shown.out
    assert "reset(seed=...) alone" not in shown.out  # it follows from the first
    warnings = [line for line in unfilled(shown.out).splitlines() if line.startswith("Warning: ")]
    assert len(warnings) == 1
    assert "Odd-v0 shows different observations from the first reset on" in warnings[0]
    assert shown.out.endswith("no violations, 1 warning.\n")


@pytest.mark.exhaustive
def test_an_experiments_environment_is_checked_as_a_run_makes_it(cli):
    shown = cli(
        *("check-environment", "--gin_files", "classics/q_learning_cartpole.gin"),
        *("--gin_bindings", "Runner.num_envs = 3", "--steps", 60),
    )
    assert shown.status == 0, shown.err
    assert "3 environments, 60 agent steps" in shown.out
    assert "- Observations are Discrete(10000).\n" in shown.out  # by a wrapper
    assert "- An episode has at most 200 agent steps.\n" in shown.out  # of the Runner's
    assert "QLearningAgent" in shown.out.partition("Agents that fit: ")[2]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "takes one ID, such as"),
        (("A-v0", "B-v0"), "takes one ID, such as"),
        (("CartPole-v1", "--gin_files", "dqn/cartpole.gin"), "give one of them"),
        (("CartPole-v9",), "There is no environment 'CartPole-v9'"),
        (("no_such_module:X-v0",), "no_such_module"),
        (("--gin_files", "atari/sticky.gin"), "atari/sticky.gin binds no Runner.environment"),
        (("--gin_files", "dqn/atar.gin"), "There is no gin file 'dqn/atar.gin'"),
        (("CartPole-v1", "--steps", "0"), "--steps=0"),
        (
            ("CartPole-v1", "--gin_bindings", "create_environment.kwargs = {'x': 1}"),
            "no option 'x'",
        ),
    ],
)
def test_mistakes_in_the_arguments(cli, arguments, sentence):
    refused = cli("check-environment", *arguments)
    assert refused.status == 2 and refused.out == ""
    assert sentence in refused.err and refused.err.count("\n") == 1, refused.err
