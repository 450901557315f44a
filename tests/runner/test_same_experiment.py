"""A run goes on as the experiment that it is, or not at all: from Python, and beside edited files."""

from __future__ import annotations

import functools
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite import configuration
from dopamine_lite.acting.exploration import EpsilonGreedy
from dopamine_lite.agents.ppo_agent import PPOAgent  # noqa: F401  # known to gin, unused here
from dopamine_lite.agents.q_learning_agent import QLearningAgent
from dopamine_lite.common.errors import UserError
from dopamine_lite.environments.environment import Environment, EnvironmentSpec
from dopamine_lite.environments.factory import create_environment
from dopamine_lite.runner import identity
from dopamine_lite.runner.runner import Runner
from tests.cli.conftest import files_below

CLIFF = functools.partial(create_environment, id="CliffWalking-v1")


def runner(base_dir: Path, **settings: Any) -> Runner:
    own = {
        "agent": functools.partial(QLearningAgent, gamma=0.9),
        "environment": CLIFF,
        "num_iterations": 1,
        "training_steps": 40,
        "max_steps_per_episode": 20,
        "evaluation_episodes": 1,
    }
    return Runner(base_dir, **own | settings)


@pytest.mark.parametrize(
    ("settings", "difference"),
    [
        ({"seed": 1}, "Runner.seed: this run 0, now 1"),
        ({"training_steps": 60}, "Runner.training_steps: this run 40, now 60"),
        (
            {"agent": functools.partial(QLearningAgent, gamma=0.8)},
            "agent made by: this run QLearningAgent(gamma=0.9), now QLearningAgent(gamma=0.8)",
        ),
        (
            {"agent": lambda spec, seeds: QLearningAgent(spec, seeds, learning_rate=0.5)},
            "QLearningAgent.learning_rate: this run 0.1",
        ),
        ({"agent": QLearningAgent}, "agent gamma: this run 0.9, now without it"),
        (
            {"environment": functools.partial(create_environment, id="FrozenLake-v1")},
            "environment id: this run 'CliffWalking-v1', now 'FrozenLake-v1'",
        ),
        (
            {
                "environment": functools.partial(
                    create_environment, id="CliffWalking-v1", kwargs={"is_slippery": True}
                )
            },
            "kwargs={'is_slippery': True})",
        ),
    ],
)
def test_a_runner_built_in_python_resumes_no_other_experiment(tmp_path, settings, difference):
    runner(tmp_path, **{"environment": functools.partial(CLIFF, kwargs={})}).run()
    before = files_below(tmp_path)
    with pytest.raises(UserError) as refused:
        runner(
            tmp_path,
            **{"num_iterations": 2, "environment": functools.partial(CLIFF, kwargs={})} | settings,
        ).run()
    assert difference in str(refused.value)
    assert files_below(tmp_path) == before


def test_the_same_experiment_goes_on(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    runner(whole, num_iterations=2).run()
    for iterations in (1, 2):
        runner(parts, num_iterations=iterations).run()
    config = (parts / "config.gin").read_text()
    assert config == (whole / "config.gin").read_text()
    assert "\nRunner.seed = 0\n" in config and "\nRunner.training_steps = 40\n" in config
    logs = (base_dir / "logs" / "episodes.jsonl" for base_dir in (whole, parts))
    assert len({path.read_text() for path in logs}) == 1


def test_the_place_of_a_run_is_looked_at_from_python_too(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UserError, match=r"holds other things \(thesis.tex\) and no run"):
        runner(tmp_path).run()
    assert files_below(tmp_path) == {"thesis.tex": b"all of it"}


CLIFF_BINDINGS = [
    "Runner.num_iterations = 1",
    "Runner.training_steps = 40",
    "Runner.max_steps_per_episode = 20",
    "Runner.evaluation_episodes = 1",
]


def loaded(base_dir: Path, *bindings: str) -> Runner:
    configuration.load(["classics/q_learning_cliff.gin"], [*CLIFF_BINDINGS, *bindings])
    return configuration.construct(Runner, base_dir)


def test_what_is_loaded_later_changes_no_runner(tmp_path):
    first = loaded(tmp_path / "first", "QLearningAgent.gamma = 0.5")
    second = loaded(tmp_path / "second", 'create_environment.id = "FrozenLake-v1"')
    assert first.create_environment(0, 1).spec.id == "CliffWalking-v1"
    assert second.create_environment(0, 1).spec.id == "FrozenLake-v1"
    first.run()
    config = (tmp_path / "first" / "config.gin").read_text()
    assert "QLearningAgent.gamma = 0.5" in config and "CliffWalking-v1" in config
    assert "FrozenLake" not in config


def test_a_runner_records_its_own_parts_and_no_others(tmp_path):
    alone = loaded(tmp_path / "alone").config
    runner(tmp_path / "before", seed=7, agent=functools.partial(QLearningAgent, initial_value=3.0))
    beside = loaded(tmp_path / "beside")
    configuration.load(["dqn/cartpole.gin"])
    assert beside.config == alone


def test_a_binding_that_nothing_uses_is_refused_by_the_runner(tmp_path):
    with pytest.raises(UserError, match=r"Nothing in this experiment uses PPOAgent\.gamma"):
        loaded(tmp_path / "run", "PPOAgent.gamma = 0.5").run()
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("two")
    for seed in (0, 1):
        loaded(directory / f"seed{seed}", f"Runner.seed = {seed}").run()
    return {name: directory / name for name in ("seed0", "seed1")}


COMMANDS = [
    ("train", "--gin_bindings=Runner.num_iterations=2"),
    ("evaluate", "--episodes=1"),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        ("Runner.seed = 0", "Runner.seed = 3", "Runner.seed: this run 0, now 3"),
        (
            "QLearningAgent.gamma = 1.0",
            "QLearningAgent.gamma = 0.5",
            "QLearningAgent.gamma: this run 1.0, now 0.5",
        ),
        ("QLearningAgent.gamma = 1.0\n", "", "QLearningAgent.gamma: this run 1.0, now 0.99"),
        (
            "'CliffWalking-v1'",
            "'FrozenLake-v1'",
            "create_environment.id: this run 'CliffWalking-v1'",
        ),
    ],
)
def test_an_edited_config_is_told_from_its_checkpoints(
    tmp_path, two_runs, cli, command, old, new, difference
):
    run = tmp_path / "run"
    shutil.copytree(two_runs["seed0"], run)
    config = (run / "config.gin").read_text()
    assert old in config
    (run / "config.gin").write_text(config.replace(old, new))
    before = files_below(run)
    name, *flags = command
    refused = cli(name, "--base_dir", run, *flags)
    assert refused.status == 2 and "Traceback" not in refused.err
    sentence = refused.err.splitlines()[-1]
    assert re.search(
        r"The checkpoint \S+ and the configuration belong to different experiments", sentence
    )
    assert difference in sentence
    assert files_below(run) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_the_checkpoints_of_another_run_are_refused(tmp_path, two_runs, cli, command):
    run = tmp_path / "run"
    shutil.copytree(two_runs["seed0"], run)
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(two_runs["seed1"] / "checkpoints", run / "checkpoints")
    name, *flags = command
    refused = cli(name, "--base_dir", run, *flags)
    assert refused.status == 2
    assert "(Runner.seed: this run 1, now 0)" in refused.err


class Factory:
    """What makes environments, with a setting."""

    def __init__(self, id: str):
        self.id = id
        self._made = 0

    def __call__(self, **settings: Any) -> Environment:
        self._made += 1
        return create_environment(self.id, **settings)


def by_rate(rate: float) -> Any:
    return lambda spec, seeds: QLearningAgent(spec, seeds, learning_rate=rate)


def by_epsilon(epsilon: float) -> Any:
    return functools.partial(EpsilonGreedy, epsilon_train=epsilon)


PAIRS = {
    "a constant": (
        {
            "agent": functools.partial(
                QLearningAgent, exploration=lambda *a: EpsilonGreedy(*a, epsilon_train=0.1)
            )
        },
        {
            "agent": functools.partial(
                QLearningAgent, exploration=lambda *a: EpsilonGreedy(*a, epsilon_train=0.2)
            )
        },
    ),
    "what is around": ({"agent": by_rate(0.1)}, {"agent": by_rate(0.5)}),
    "an attribute": (
        {"environment": Factory("CliffWalking-v1")},
        {"environment": Factory("Taxi-v4")},
    ),
    "by position": (
        {"agent": lambda spec, seeds: Positional(spec, seeds, 0.9)},
        {"agent": lambda spec, seeds: Positional(spec, seeds, 0.1)},
    ),
}


class Positional(QLearningAgent):
    def __init__(self, spec: EnvironmentSpec, seeds: Any, rate: float):
        super().__init__(spec, seeds, learning_rate=rate)


@pytest.mark.parametrize(("first", "second"), PAIRS.values(), ids=PAIRS)
def test_what_has_no_name_is_known_by_what_it_holds(tmp_path, first, second):
    runner(tmp_path, **first).run()
    runner(tmp_path, num_iterations=2, **first).run()
    with pytest.raises(UserError, match="different experiments .*build the same agent"):
        runner(tmp_path, num_iterations=3, **second).run()


def test_the_order_of_a_dictionary_is_no_difference(tmp_path):
    options = {"is_slippery": True, "desc": ["SFF", "FHF", "FFG"]}
    for iterations, names in ((1, options), (2, reversed(options))):
        kwargs = {name: options[name] for name in names}
        lake = functools.partial(create_environment, id="FrozenLake-v1", kwargs=kwargs)
        runner(tmp_path, num_iterations=iterations, environment=lake).run()


def test_arguments_of_an_earlier_version_are_read_in_todays_names():
    now = {"config": "", "environment": {}}
    then = {"made by": "PPOAgent(normalise_rewards=True, clip=0.1)", "stop_at_kl": "0.02"}
    present = {"made by": "PPOAgent(normalize_rewards=True, clip=0.1)", "target_kl": "0.02"}
    identity.check_same_experiment(Path("x"), now | {"agent": then}, now | {"agent": present})
    with pytest.raises(UserError, match="agent target_kl: this run 0.02, now 0.03"):
        other = present | {"target_kl": "0.03"}
        identity.check_same_experiment(Path("x"), now | {"agent": then}, now | {"agent": other})
