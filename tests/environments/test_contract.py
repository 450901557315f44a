"""What environments return is held against what they declare; a mistake of theirs stays theirs."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.agents.random_agent import RandomAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.checked import CheckedEnvironment, introduced
from dopamine_lite.environments.contract import Contract
from dopamine_lite.environments.environment import Environment, EnvironmentSpec, Step
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.environments.vector_environment import VectorEnvironment
from dopamine_lite.environments.wrappers import Discretise, EnvironmentWrapper, wrapped_environment
from dopamine_lite.runner.runner import Runner
from tests.environments import peculiar
from tests.environments.peculiar import (
    ALL,
    BYTES,
    LENGTH,
    NONE,
    PICTURE,
    SOME,
    Plain,
    drawn,
    masked,
    paid,
    registered,
    seen,
)


def play(entry_point: Any, steps: int = 2 * LENGTH + 1, num_envs: int = 2) -> list[str]:
    """Steps an environment of this class by legal actions; returns what it has reported."""
    reports: list[str] = []
    with registered(Peculiar=entry_point):
        environment = create_environment("Peculiar-v0", num_envs)
        environment.report_to(lambda _, sentence: reports.append(sentence))
        environment.reset()
        for _ in range(steps):
            masks = environment.action_masks
            environment.step(np.zeros(num_envs, int) if masks is None else masks.argmax(1))
        environment.close()
    return reports


FOUR = spaces.Discrete(4)
REAL = spaces.Box(-np.inf, np.inf, (3,), np.float32)
REFUSED = {
    # class, and what of the sentence follows the environment's name
    "scalar for three": (seen(0.5), r"returned 0\.5 as observation at the start of an episode"),
    "row": (seen(np.zeros((1, 3), np.float32)), r"an array of shape \(1, 3\) and dtype float32"),
    "two": (seen(np.zeros(2, np.float32)), r"return an array of shape \(3,\) and dtype float32"),
    "later": (seen(np.zeros(4, np.float32), None, 3), r"in step 3 of an episode \(environment 0\)"),
    "ragged": (seen([[1], [2, 3]]), r"returned \[\[1\], \[2, 3\]\] as observation"),
    "nothing": (seen(None, None, 2), r"returned None as observation in step 2"),
    "text": (seen("abc"), r"returned 'abc' as observation"),
    "fractions": (
        seen(np.full((2, 2), 0.7, np.float32), BYTES),
        r"dtype float32 .* but declares Box\(0, 255, \(2, 2\), uint8\): .* dtype uint8\.",
    ),
    "no byte": (seen(np.full((2, 2), 300), BYTES), "return numbers that uint8 can hold"),
    "not a number": (
        seen(np.array([0, np.nan, 0], np.float32), None, 4),
        r"returned an observation with nan at \[1\] in step 4",
    ),
    "infinite": (seen(np.full(3, -np.inf, np.float32), REAL), r"with -inf at \[0\] .* finite"),
    "below": (seen(-1, FOUR), r"returned the observation -1 .* one integer from 0 to 3"),
    "above": (seen(4, FOUR), r"returned the observation 4 .* declares Discrete\(4\)"),
    "below later": (seen(np.int64(-1), FOUR, 5), "the observation -1 in step 5"),
    "real for an integer": (seen(1.0, FOUR), r"returned 1\.0 as observation"),
    "boolean for an integer": (seen(True, FOUR), "returned True as observation"),
    "one in a list": (seen(np.array([1]), FOUR), r"shape \(1,\) .* one integer from 0 to 3"),
    "first of another": (seen(0, spaces.Discrete(4, start=5)), "one integer from 5 to 8"),
    "no such name": (seen(np.array([1, 4]), spaces.MultiDiscrete([3, 4])), r"with 4 at \[1\]"),
    "neither 0 nor 1": (seen(np.array([1, 7]), spaces.MultiBinary(2)), r"with 7 at \[1\]"),
    "below a whole bound": (
        seen(np.array([-2, 0]), spaces.Box(-1, 1, (2,), np.int32)),
        r"with -2 at \[0\] .* correct the observation or the space",
    ),
    "reward nan": (paid(float("nan"), 5), r"returned nan as reward in step 5 of an episode"),
    "reward infinite": (paid(np.float32("inf")), "returned inf as reward in step 1"),
    "reward none": (paid(None, 3), "returned None as reward in step 3"),
    "reward text": (paid("3"), "returned '3' as reward"),
    "rewards": (paid(np.ones(2)), r"shape \(2,\) and dtype float64 as reward .* one finite number"),
    "reward complex": (paid(1j), "returned 1j as reward"),
    "ends in numbers": (peculiar.NumbersForEnds, "returned 0 as terminated .* True or False"),
    "no info": (peculiar.NoInfo, "the step of NoInfo returned None as info"),
    "four values": (
        peculiar.FourValues,
        r"the step of FourValues returned 4 values: Gymnasium's interface asks for `step.*"
        r"\(observation, reward, terminated, truncated, info\)",
    ),
    "four values in a limit": (
        lambda: gymnasium.wrappers.TimeLimit(peculiar.FourValues(), 3),
        r"the step of FourValues cannot be used \(not enough values to unpack",
    ),
    "no values": (peculiar.NothingStepped, "the step of NothingStepped returned None"),
    "no action": (peculiar.NoAction, "the step of NoAction cannot be used .* positional"),
    "no step": (peculiar.NoStep, "the step of NoStep cannot be used"),
    "no reset": (peculiar.NoReset, "the reset of NoReset returned None"),
    "only observation": (
        peculiar.OnlyObservation,
        r"the reset of OnlyObservation returned an array .* returns \(observation, info\)",
    ),
    "only two numbers": (peculiar.OnlyTwoNumbers, r"returned an array of shape \(2,\)"),
    "no seed": (peculiar.NoSeed, r"the reset of NoSeed cannot be used .* seed=None, options=None"),
    "no options": (peculiar.NoOptions, "got an unexpected keyword argument 'options'"),
    "no space": (peculiar.NoSpace, "the observation_space of NoSpace is None"),
    "no actions": (peculiar.NoActions, "the action_space of NoActions is None"),
    "no environment": (
        peculiar.NoEnvironment,
        "does not make a gymnasium.Env: let its class inherit",
    ),
    "mask from step only": (
        masked(None, SOME),
        r"names legal actions in info\['action_mask'\] in step 1 .* not at its first reset",
    ),
    "mask from reset only": (masked(SOME, None), "names no legal actions in info in step 1"),
    "mask at no cut": (masked(SOME, SOME, None, True), "names no legal actions in info in step 6"),
    "mask too short": (masked(SOME, SOME[:2]), r"\[1, 0\] as info.* but has 3 actions"),
    "mask of other values": (masked(SOME, [0, 2, 1]), r"returned \[0, 2, 1\] as info"),
    "mask of numbers": (masked([0, 2], SOME), r"returned \[0, 2\] as info"),
    "mask of logits": (masked([0.0, -np.inf, 0.0], SOME), r"\[0\.0, -inf, 0\.0\] as info"),
    "mask of texts": (masked(["a", "b", "c"], SOME), r"returned \[a, b, c\] as info"),
    "nothing legal": (masked(SOME, NONE), r"names no legal action in step 1 of an episode"),
    "nothing legal at first": (masked(NONE, SOME), "names no legal action at the start"),
    "bad at the second start": (
        type("Later", (masked(SOME, SOME),), {"info": lambda self, step: _once_legal(self, step)}),
        "names no legal action at the start of an episode",
    ),
}


def _once_legal(self: Any, step: int) -> dict[str, Any]:
    """Legal actions but for the start of every episode after the first."""
    self.starts = getattr(self, "starts", 0) + (step == 0)
    return {"action_mask": NONE if step == 0 and self.starts > 1 else SOME}


@pytest.mark.parametrize(
    ("space", "outside"),
    [
        (FOUR, -1),
        (spaces.MultiDiscrete([3, 4]), np.array([1, 4])),
        (spaces.MultiBinary(2), np.array([0, 2], np.int8)),
    ],
    ids=["one", "several", "yes or no"],
)
def test_a_name_outside_is_noticed_however_late(space, outside):
    class Late(Plain):
        observation_space = space
        steps = 0

        def observation(self, step: int) -> Any:
            self.steps += 1
            return outside if self.steps > 200 else outside * 0

    with pytest.raises(UserError, match=r"declares (Multi)?(Discrete|Binary)"):
        play(Late, steps=250)


def test_an_environment_is_reset_once():
    environment = create_environment("CartPole-v1")
    environment.reset()
    with pytest.raises(RuntimeError, match="reset only once"):
        environment.reset()


@pytest.mark.parametrize(("entry_point", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_as_declared_is_refused(entry_point, sentence):
    with pytest.raises(UserError, match=f"^Peculiar-v0.* {sentence}"):
        play(entry_point)


ACCEPTED = {
    "as declared": peculiar.Plain,
    "64 bits for 32": seen(np.full(3, 0.1)),
    "whole numbers for reals": seen(np.ones(3, int)),
    "a list": seen([0.1, 0.2, 0.3]),
    "a number for no axis": seen(0.25, spaces.Box(0, 1, (), np.float32)),
    "long integers for bytes": seen(np.full((2, 2), 255), BYTES),
    "booleans for 0 and 1": seen(np.array([True, False]), spaces.MultiBinary(2)),
    "a small integer": seen(np.uint8(3), FOUR),
    "an array without axes": seen(np.array(3), FOUR),
    "rounding": seen(np.full(3, np.nextafter(np.float32(1), np.float32(2)))),
    "too great to be squared": seen(np.full(3, 1e30, np.float32), REAL),
    "a whole reward": paid(2),
    "a reward in an array": paid(np.array([2.0])),
    "a reward of 32 bits": paid(np.float32(2)),
    "a true reward": paid(np.True_),
    "a great reward": paid(1e300),
    "masks": masked(SOME, SOME),
    "masks in lists": masked([1, 0, 1], [True, False, True]),
    "nothing legal at the end": masked(SOME, SOME, NONE),
    "no mask at the end": masked(SOME, SOME, None),
}


@pytest.mark.parametrize("entry_point", ACCEPTED.values(), ids=ACCEPTED)
def test_what_does_no_harm_passes_without_a_word(entry_point):
    assert play(entry_point) == []


def test_the_environment_is_named():
    class OnlySecond(peculiar.Plain):
        made = 0

        def __init__(self):
            self.number = OnlySecond.made = OnlySecond.made + 1

        def reward(self, step: int) -> Any:
            return float("nan") if self.number == 2 and step == 2 else 1.0

    with pytest.raises(UserError, match=r"nan as reward in step 2 of an episode \(environment 1\)"):
        play(OnlySecond)


def test_real_numbers_outside_their_bounds_are_told_of():
    """LunarLander-v3 and BipedalWalker-v3, standard environments, are at times outside of theirs."""
    [sentence] = play(seen(np.array([0, 0, 9], np.float32), None, 1), steps=1)
    assert "Peculiar-v0 returned an observation with 9 at [2], outside of Box(-1.0, 1.0" in sentence
    assert "The run goes on" in sentence


@pytest.mark.parametrize(
    ("name", "error", "line"),
    [
        ("InitMistake", KeyError, '{"cost": 1}["price"]'),
        ("InitTypeMistake", TypeError, "len(3)"),
        ("ResetMistake", ValueError, "np.zeros(3).reshape(2)"),
        ("StepMistake", ValueError, 'int("three")'),
        ("CloseMistake", KeyError, 'raise KeyError("simulator")'),
    ],
)
def test_a_mistake_in_an_environments_code_keeps_its_traceback(name, error, line):
    with pytest.raises(error) as caught:
        play(getattr(peculiar, name))
    [entry] = [entry for entry in caught.traceback if entry.path == Path(peculiar.__file__)]
    assert line in str(entry.statement)


def test_a_truncated_state_without_a_legal_action_is_terminal():
    """Often wrong: bootstrapping from the greatest of no values, -1e9 or minus infinity."""
    with registered(Stuck=masked(SOME, SOME, NONE, truncates=True)):
        environment = create_environment("Stuck-v0")
        reports: list[str] = []
        environment.report_to(lambda _, sentence: reports.append(sentence))
        observations = environment.reset()
        for _ in range(LENGTH):
            step = environment.step(np.zeros(1, int))
    assert step.terminated.tolist() == [True] and step.truncated.tolist() == [False]
    assert observations.tolist() == [0] and step.next_observations.tolist() == [LENGTH]
    assert len(reports) == 1 and "counts as terminated and its value is zero" in reports[0]


def test_the_bootstrap_of_a_stuck_state_is_zero(tmp_path):
    """One whole episode of Q-learning with alpha 1: the last state's value is its reward, 1."""
    with registered(Stuck=masked(SOME, SOME, NONE, truncates=True)):
        runner = Runner(
            tmp_path,
            agent=functools.partial(QLearningAgent, learning_rate=1.0, gamma=0.9),
            environment=functools.partial(create_environment, "Stuck-v0"),
            num_iterations=1,
            training_steps=400,
            schedule="continuous_train",
        )
        runner.run()
    table = runner.agent.get_state()["tables"][0]
    assert table[LENGTH - 1, [0, 2]].tolist() == [1.0, 1.0]
    assert table[LENGTH - 2].max() == 1.9
    assert np.abs(table).max() < 10


def test_an_environment_that_may_exist_once_is_trained_and_evaluated(tmp_path):
    with registered(Alone=peculiar.Alone):
        runner = Runner(
            tmp_path,
            agent=RandomAgent,
            environment=functools.partial(create_environment, "Alone-v0"),
            num_iterations=2,
            training_steps=20,
            checkpoint_every_steps=10,
            evaluation_episodes=2,
        )
        runner.run()
        assert [record.length for record in runner.evaluate(3, seed=0)] == [LENGTH] * 3
    assert not peculiar.Alone.exists


def test_an_environment_that_cannot_be_used_is_closed():
    class Counted(peculiar.OnlyObservation):
        open = 0

        def __init__(self):
            Counted.open += 1

        def close(self) -> None:
            Counted.open -= 1

    with pytest.raises(UserError):
        play(Counted, num_envs=3)
    assert Counted.open == 0


def test_nothing_is_written_where_the_first_observation_is_wrong(tmp_path):
    with registered(Below=seen(-1, FOUR)), pytest.raises(UserError, match="observation -1"):
        Runner(
            tmp_path / "run",
            agent=RandomAgent,
            environment=functools.partial(create_environment, "Below-v0"),
            schedule="continuous_train",
        )
    assert not (tmp_path / "run").exists()


class Own(Environment):
    """A user's two environments, which each answer of `wrong` makes wrong in one way."""

    def __init__(self, num_envs: int = 2, action_masks: bool = False, **wrong: Any):
        self.spec = EnvironmentSpec(
            "Own",
            spaces.Box(-1, 1, (3,), np.float32),
            spaces.Discrete(3),
            num_envs,
            action_masks=action_masks,
        )
        self._wrong = wrong
        self.action_masks = wrong.get("action_masks_at_first")

    def _observations(self) -> np.ndarray:
        return np.zeros((self.spec.num_envs, 3), np.float32)

    def reset(self) -> np.ndarray:
        return self._wrong.get("first", self._observations())

    def step(self, actions: np.ndarray) -> Step:
        observations, no = self._observations(), np.zeros(self.spec.num_envs, bool)
        step = Step(observations, np.ones(self.spec.num_envs), no, no, observations)
        wrong = {name: value for name, value in self._wrong.items() if name in Step._fields}
        return step._replace(**wrong)

    def close(self) -> None:
        pass


TWO = np.zeros((2, 3), np.float32)
WRONG = {
    "first": (np.zeros(3, np.float32), r"observations of 2 environments in reset: .* \(2, 3\)"),
    "observations": (TWO.astype(np.float64), "dtype float64 as observations .* in step 1"),
    "next_observations": (TWO[:1], r"shape \(1, 3\) .* as next_observations"),
    "rewards": (1.0, r"1\.0 as rewards .* shape \(2,\)"),
    "terminated": (np.zeros(2), "as terminated .* dtype bool"),
    "truncated": (np.zeros((2, 1), bool), r"shape \(2, 1\) and dtype bool as truncated"),
    "next_action_masks": (np.ones((2, 3), bool), "its spec declares no action masks"),
    "action_masks_at_first": (
        np.ones((2, 3), bool),
        "as action_masks .* its spec declares no action masks",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_environment_of_ones_own_is_held_to_its_spec(name):
    value, sentence = WRONG[name]
    environment = introduced(Own(**{name: value}), 2, lambda *_: None)
    assert isinstance(environment, CheckedEnvironment)
    with pytest.raises(UserError, match=f"^Own returned .*{sentence}"):
        environment.reset()
        environment.step(np.zeros(2, int))


def test_missing_masks_of_an_environment_of_ones_own_are_missed():
    environment = CheckedEnvironment(Own(action_masks=True))
    with pytest.raises(UserError, match=r"returned None as action_masks .* shape \(2, 3\)"):
        environment.reset()


def test_arrays_are_not_written_to_after_they_were_returned():
    class Reusing(Own):
        _array = np.zeros((2, 3), np.float32)

        def _observations(self) -> np.ndarray:
            self._array += 0.125
            return self._array

    environment = CheckedEnvironment(Reusing())
    environment.reset()
    with pytest.raises(UserError, match="wrote to an array of observations after it had returned"):
        environment.step(np.zeros(2, int))


def test_one_constant_array_is_no_array_that_is_written_to():
    class Constant(Own):
        _array = np.zeros((2, 3), np.float32)

        def _observations(self) -> np.ndarray:
            return self._array

    environment = CheckedEnvironment(Constant())
    environment.reset()
    for _ in range(3):
        environment.step(np.zeros(2, int))


def test_gymnasiums_loop_copies_what_is_written_to():
    assert play(peculiar.OneBuffer) == []


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (peculiar.Plain(), "is not an Environment of this package: .* @create_environment"),
        (None, "Runner.environment made None, a NoneType"),
        (Own(num_envs=3), "Own declares num_envs = 3, but 2 were asked for"),
    ],
)
def test_what_runner_environment_makes_is_an_environment(made, sentence):
    with pytest.raises(UserError, match=sentence):
        introduced(made, 2, lambda *_: None)


class Half(EnvironmentWrapper):
    """Halves observations, into 64 bits."""

    def __init__(self, environment: Environment):
        super().__init__(environment, environment.spec.observation_space, stack_size=1)

    def convert(self, observations: np.ndarray) -> np.ndarray:
        return observations * np.float64(0.5)


def test_a_wrapper_of_ones_own_is_held_to_its_spec():
    inner = functools.partial(create_environment, "CartPole-v1")
    environment = introduced(wrapped_environment(inner, [Half]), 1, lambda *_: None)
    with pytest.raises(UserError, match=r"CartPole-v1 returned .* dtype float64 as observations"):
        environment.reset()


def test_a_wrapper_hides_nothing_of_the_environment_inside():
    """Bins would make a number of NaN."""
    bad = np.array([0, np.nan, 0], np.float32)
    with registered(Peculiar=seen(bad, None, 2)):
        inner = functools.partial(create_environment, "Peculiar-v0")
        environment = wrapped_environment(inner, [Discretise])
        environment.reset()
        environment.step(np.zeros(1, int))
        with pytest.raises(UserError, match=r"an observation with nan at \[1\] in step 2"):
            environment.step(np.zeros(1, int))
    wrapped = wrapped_environment(
        functools.partial(Own, first=np.full((1, 3), np.nan, np.float32)), [Discretise], num_envs=1
    )
    with pytest.raises(UserError, match=r"an observation with nan at \[0\] at the start"):
        wrapped.reset()


def vector(entry_point: Any, **changes: Any) -> VectorEnvironment:
    """Two environments in Gymnasium's own vector environment, whose answers `changes` replace."""
    envs = SyncVectorEnv([entry_point] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    answer = envs.step

    def step(actions: Any) -> Any:
        names = ("observations", "rewards", "terminated", "truncated", "info")
        answers = dict(zip(names, answer(actions), strict=True))
        return tuple((answers | changes).values())[: changes.get("size", 5)]

    envs.step = step  # type: ignore[method-assign]
    space = envs.single_observation_space
    spec = EnvironmentSpec("Vector", space, envs.single_action_space, num_envs=2)
    return VectorEnvironment(envs, spec, 0)


VECTORS: dict[str, Any] = {
    "scalars": (peculiar.Plain, {"observations": np.zeros(2)}, r"shape \(2,\) .* \(2, 3\)"),
    "one": (peculiar.Plain, {"observations": np.zeros(3)}, r"shape \(3,\) .* \(2, 3\)"),
    "fractions": (
        seen(np.zeros((2, 2), np.uint8), BYTES),
        {"observations": np.full((2, 2, 2), 0.7)},
        "dtype float64 as observation .* dtype uint8",
    ),
    "reward": (peculiar.Plain, {"rewards": 1.0}, "returned 1.0 as rewards: .* 2 finite numbers"),
    "nan": (paid(float("nan"), 2), {}, r"nan as reward in step 2 of an episode \(environment 0\)"),
    "ends": (peculiar.Plain, {"terminated": np.zeros(2)}, "as terminated: .* 2 booleans"),
    "four": (peculiar.Plain, {"size": 4}, "the step of SyncVectorEnv returned 4 values"),
    "below": (seen(-1, FOUR, 3), {}, "the observation -1 in step 3"),
    "no end": (peculiar.Plain, {"info": {}}, r"without info\['final_obs'\]"),
    "masks": (
        masked(None, SOME),
        {},
        r"names legal actions in info\['action_mask'\] of a step of its vector implementation",
    ),
}


@pytest.mark.parametrize(("entry_point", "changes", "sentence"), VECTORS.values(), ids=VECTORS)
def test_a_vector_environment_is_held_to_its_space(entry_point, changes, sentence):
    environment = vector(entry_point, **changes)
    with pytest.raises(UserError, match=f"^Vector.* {sentence}"):
        environment.reset()
        for _ in range(LENGTH):
            environment.step(np.zeros(2, int))


def test_the_masks_of_a_vector_implementation_are_taken_from_the_loop():
    class Masks(SyncVectorEnv):
        def __init__(self, num_envs: int):
            kinds = [masked(SOME, ALL)] * num_envs
            super().__init__(kinds, autoreset_mode=AutoresetMode.SAME_STEP)

    gymnasium.register("Masks-v0", masked(SOME, ALL), vector_entry_point=Masks)
    environment = create_environment("Masks-v0", 2)
    del gymnasium.registry["Masks-v0"]
    assert environment.spec.action_masks and not isinstance(environment, VectorEnvironment)


DRAWN = {
    "nothing": drawn(None),
    "reals": drawn(PICTURE / 1.0),
    "gray": drawn(PICTURE[..., 0]),
    "transparent": drawn(np.zeros((10, 12, 4), np.uint8)),
    "empty": drawn(PICTURE[:0]),
    "list": drawn([PICTURE]),
    "growing": drawn(PICTURE, np.zeros((11, 12, 3), np.uint8)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_pictures_are_pictures(name):
    sentence = "in one size" if name == "growing" else r"\[height, width, 3\] of dtype uint8"
    with registered(Drawn=DRAWN[name]):
        environment = create_environment("Drawn-v0", render=True)
        environment.reset()
        with pytest.raises(UserError, match=f"^Drawn-v0 drew .*{sentence}"):
            for _ in range(2):
                environment.render()


def test_an_environment_that_has_no_render_is_told_so():
    class Undrawn(drawn()):  # type: ignore[misc]
        render = gymnasium.Env.render

    with registered(Undrawn=Undrawn):
        environment = create_environment("Undrawn-v0", render=True)
        environment.reset()
        with pytest.raises(UserError, match="the render of Undrawn cannot be used"):
            environment.render()


@pytest.mark.parametrize("modes", [None, []])
def test_an_environment_without_render_modes_does_not_draw(modes):
    with (
        registered(Drawn=drawn(PICTURE, render_modes=modes)),
        pytest.raises(UserError, match="does not draw: 'rgb_array' is not among"),
    ):
        create_environment("Drawn-v0", render=True)


def test_the_contract_says_which_step_of_the_episode_it_was():
    spec = EnvironmentSpec("Two", spaces.Box(-1, 1, (1,), np.float32), spaces.Discrete(2), 2)
    contract = Contract(spec)
    contract.check_reset(np.zeros((2, 1), np.float32), None)
    no, ended = np.zeros(2, bool), np.array([True, False])
    for over in (no, ended, no):
        first, last = np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32)
        contract.checked(Step(first, np.ones(2), over, no, last), None)
    for index, age in ((0, 2), (1, 4)):
        rewards = np.where(np.arange(2) == index, np.nan, 1.0)
        same = np.zeros((2, 1), np.float32)
        with pytest.raises(
            UserError, match=rf"in step {age} of an episode \(environment {index}\)"
        ):
            contract.checked(Step(same, rewards, no, no, same), None)
        contract._steps -= 1


class Direct(Environment):
    """An environment of one's own that returns the steps that it was given, in turn."""

    def __init__(self, spec: EnvironmentSpec, first: np.ndarray, steps: list[Step]):
        self.spec, self._first, self._steps = spec, first, iter(steps)

    def reset(self) -> np.ndarray:
        return self._first

    def step(self, actions: np.ndarray) -> Step:
        return next(self._steps)

    def close(self) -> None: ...


def reals(*shape: int) -> np.ndarray:
    return np.zeros((1, *shape), np.float32)


def step_to(following: np.ndarray, observations: np.ndarray | None = None, **ends: bool) -> Step:
    ended = {name: np.array([ends.get(name, False)]) for name in ("terminated", "truncated")}
    observations = following if observations is None else observations
    return Step(observations, np.ones(1), **ended, next_observations=following)


def directly(shape: tuple[int, ...], first: np.ndarray, *steps: Step, **spec: Any) -> list[Step]:
    """Steps an environment of one's own to its last step."""
    box = spaces.Box(-np.inf, np.inf, shape, np.float32)
    declared = EnvironmentSpec("Own", box, spaces.Discrete(2), 1, **spec)
    environment = CheckedEnvironment(Direct(declared, first, list(steps)))
    environment.reset()
    return [environment.step(np.zeros(1, int)) for _ in steps]


def test_what_is_terminated_is_not_truncated_as_well():
    (step,) = directly((2,), reals(2), step_to(reals(2), reals(2), terminated=True, truncated=True))
    assert step.terminated.tolist() == [True] and step.truncated.tolist() == [False]


def test_no_episode_is_longer_than_its_limit():
    steps = [step_to(reals(2)) for _ in range(3)]
    ending = [*steps[:2], step_to(reals(2), reals(2), truncated=True), *steps[:2]]
    directly((2,), reals(2), *ending, max_steps_per_episode=3)
    with pytest.raises(UserError, match="did not end an episode in step 3 of an episode .* than 3"):
        directly((2,), reals(2), *steps, max_steps_per_episode=3)


def test_a_shape_that_changes_is_noticed_however_late():
    steps = [step_to(reals(2)) for _ in range(100)]
    with pytest.raises(UserError, match=r"shape \(1, 3\) .* in step 101"):
        directly((2,), reals(2), *steps, step_to(reals(3)))


def test_only_an_end_has_two_observations():
    with pytest.raises(
        UserError, match="differ from next_observations in step 1 of an environment whose"
    ):
        directly((2,), reals(2), step_to(reals(2), reals(2) + 1))


def stack(*frames: float) -> np.ndarray:
    return np.array(frames, np.float32).reshape(1, -1, 1)


STACKS = {
    "before the episode": ((stack(1, 1),), "begins an episode with a stack"),
    "another frame": (
        (stack(0, 1), step_to(stack(0, 2))),
        "not the last ones of the previous stack",
    ),
    "a second beginning": (
        (stack(0, 1), step_to(stack(1, 2), stack(2, 3), terminated=True)),
        "begins an episode with a stack",
    ),
}


@pytest.mark.parametrize(("steps", "sentence"), STACKS.values(), ids=STACKS)
def test_stacks_are_what_was_seen(steps, sentence):
    with pytest.raises(UserError, match=sentence):
        directly((2, 1), *steps, stack_size=2)


def test_stacks_that_are_what_was_seen():
    ending = step_to(stack(2, 3), stack(0, 4), terminated=True)
    directly((2, 1), stack(0, 1), step_to(stack(1, 2)), ending, step_to(stack(4, 5)), stack_size=2)


def test_masks_stay_as_they_were_returned():
    class Refilled(Direct):
        action_masks = np.array([[True, False]])

        def step(self, actions: np.ndarray) -> Step:
            self.action_masks[:] = ~self.action_masks
            return step_to(reals(2))._replace(next_action_masks=self.action_masks)

    box = spaces.Box(-1, 1, (2,), np.float32)
    spec = EnvironmentSpec("Own", box, spaces.Discrete(2), 1, action_masks=True)
    environment = CheckedEnvironment(Refilled(spec, reals(2), []))
    environment.reset()
    before = environment.action_masks
    step = environment.step(np.zeros(1, int))
    environment.step(np.zeros(1, int))
    assert before.tolist() == [[True, False]]
    assert step.next_action_masks.tolist() == [[False, True]]


def test_environments_that_write_to_one_array_see_their_own_observations():
    shared = np.zeros(3, np.float32)

    class Shared(Plain):
        def reset(self, *, seed=None, options=None):
            _, info = super().reset(seed=seed)
            shared[:] = self.np_random.random()
            return shared, info

    with registered(Shared=Shared):
        together = create_environment("Shared-v0", 3)
        alone = [create_environment("Shared-v0", size) for size in (1, 2)]
    observations = together.reset()
    assert len(np.unique(observations[:, 0])) == 3
    for environment in alone:
        first = environment.reset()
        np.testing.assert_array_equal(first, observations[: len(first)])
