"""Experiments from Python: each alone in its process, with the command line's guarantees."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import gin
import numpy as np
import pytest

from dopamine_lite import Experiment, Run, UserError
from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.reporting import provenance
from dopamine_lite.reporting.console import LineConsole
from dopamine_lite.reporting.log_reader import read_iterations
from dopamine_lite.runner.runner import Stopped
from tests.cli.conftest import cli, files_below, gin_files, runs

__all__ = ["cli", "gin_files", "runs"]

SHORT = [
    "Runner.num_iterations = 3",
    "Runner.training_steps = 300",
    "Runner.max_steps_per_episode = 60",
    "Runner.evaluation_episodes = 2",
]


def q_learning(*bindings: str, seed: int = 1) -> Experiment:
    return Experiment("classics/q_learning_cliff.gin", [*SHORT, *bindings], seed=seed)


def sarsa(seed: int = 2) -> Experiment:
    bindings = [*SHORT, "create_environment.id = 'FrozenLake-v1'", "SarsaAgent.gamma = 0.5"]
    return Experiment("classics/sarsa_cliff.gin", bindings, seed=seed)


def results(directory: Path) -> dict[str, object]:
    """What equal runs have equal: logs without times, and the agent in the newest checkpoint."""
    return {
        "iterations": [line | {"time": None} for line in read_iterations(directory)],
        "episodes": (directory / "logs" / "episodes.jsonl").read_bytes(),
        "agent": str(Checkpointer(directory / "checkpoints").load().state["agent"]),
        "config": (directory / "config.gin").read_text(),
    }


def test_two_experiments_interleaved_give_what_each_gives_alone(tmp_path, gin_files):
    q_learning().run(tmp_path / "q alone")
    sarsa().run(tmp_path / "sarsa alone")
    Experiment(gin_files["dqn"]).run(tmp_path / "dqn alone")
    experiments = {"q": q_learning(), "sarsa": sarsa(), "dqn": Experiment(gin_files["dqn"])}
    going = {name: each.iterations(tmp_path / name) for name, each in experiments.items()}
    while going:
        for name in list(going):
            if next(going[name], None) is None:
                del going[name]
    for name in experiments:
        assert results(tmp_path / name) == results(tmp_path / f"{name} alone")


def test_what_gin_was_told_elsewhere_is_left_as_it_was(tmp_path):
    gin.bind_parameter("Runner.seed", 77)
    before = gin.config_str()
    run = q_learning().run(tmp_path / "run")
    Run.open(tmp_path / "run").evaluate(1)
    with pytest.raises(UserError):
        Experiment("classics/q_learning_cliff.gin", ["QLearningAgent.gama = 1"])
    assert gin.config_str() == before
    assert run.runner.settings.seed == 1


def test_singletons_belong_to_one_experiment(tmp_path):
    shared = [
        "import tests.experiment.holder",
        "Runner.environment = @holding_environment",
        "holding_environment.held = @the_box/gin.singleton()",
        "the_box/gin.singleton.constructor = @Box",
        "create_environment.id = 'CliffWalking-v1'",
    ]
    first, second = (
        Experiment("classics/q_learning_cliff.gin", [*SHORT, *shared]).runner(tmp_path / name)
        for name in "ab"
    )
    boxes = [runner.create_environment(seed=0, num_envs=1).held for runner in (first, second)]
    again = first.create_environment(seed=0, num_envs=1).held
    assert again is boxes[0] and boxes[0] is not boxes[1]


def test_a_run_that_is_left_between_two_iterations_goes_on(tmp_path):
    q_learning().run(tmp_path / "whole")
    iterations = q_learning().iterations(tmp_path / "parts")
    assert next(iterations)["iteration"] == 0
    iterations.close()
    assert [record["iteration"] for record in q_learning().iterations(tmp_path / "parts")] == [1, 2]
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_a_run_at_work_cannot_be_begun_twice(tmp_path):
    iterations = q_learning().iterations(tmp_path)
    next(iterations)
    with pytest.raises(UserError, match="in use by another training process"):
        q_learning().run(tmp_path)
    iterations.close()
    q_learning().run(tmp_path)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (lambda: q_learning(seed=3), "(Runner.seed: this run 1, now 3)"),
        (lambda: q_learning("QLearningAgent.gamma = 0.5"), "QLearningAgent.gamma: this run"),
        (lambda: sarsa(seed=1), "holds another experiment"),
    ],
)
def test_no_other_experiment_goes_on_with_a_run(tmp_path, other, sentence):
    q_learning("Runner.num_iterations = 1").run(tmp_path)
    before = files_below(tmp_path)
    with pytest.raises(UserError) as refused:
        other().run(tmp_path)
    assert sentence in str(refused.value)
    assert files_below(tmp_path) == before


def test_a_binding_that_nothing_uses_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(UserError, match=r"Nothing in this experiment uses SarsaAgent\.gamma"):
        Experiment(
            "classics/q_learning_cliff.gin",
            ["import dopamine_lite.agents.sarsa_agent", "SarsaAgent.gamma = 0.5"],
        ).run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_bindings_are_a_list(tmp_path):
    with pytest.raises(UserError, match="'Runner.seed = 2': give a list of strings"):
        Experiment("classics/q_learning_cliff.gin", "Runner.seed = 2")


def test_a_longer_run_from_its_directory(tmp_path):
    q_learning().run(tmp_path / "whole")
    q_learning("Runner.num_iterations = 1").run(tmp_path / "parts")
    Experiment.of_run(tmp_path / "parts", ["Runner.num_iterations = 3"]).run(tmp_path / "parts")
    assert results(tmp_path / "parts") == results(tmp_path / "whole")


def test_where_progress_is_shown_is_no_part_of_the_experiment(tmp_path):
    q_learning("Runner.num_iterations = 1").run(tmp_path / "run", LineConsole(None))
    shown = io.StringIO()
    again = Experiment.of_run(tmp_path / "run", ["Runner.num_iterations = 2"])
    again.run(tmp_path / "run", LineConsole(shown))
    Experiment.of_run(tmp_path / "run", ["Runner.num_iterations = 3"]).run(tmp_path / "run")
    assert "iteration 2: 600 of 600 steps" in shown.getvalue()


def test_evaluations_repeat_and_are_those_of_the_command(tmp_path, cli):
    run = q_learning("EpsilonGreedy.epsilon_eval = 0.3").run(tmp_path / "run")
    first, second = run.evaluate(4, seed=5), run.evaluate(4, seed=5)
    assert first == second
    assert run.evaluate(4, seed=6) != first
    assert Run.open(tmp_path / "run").evaluate(4, seed=5) == first
    output = tmp_path / "result.json"
    ran = cli(
        *("evaluate", "--base_dir", tmp_path / "run", "--episodes", 4, "--seed", 5),
        *("--output", output),
    )
    assert ran.status == 0
    assert json.loads(output.read_text()) == first.as_json()


def test_the_agent_of_a_trained_run_is_the_checkpoints(runs):
    run = Run.open(runs["dqn"])
    assert run.checkpoint == 400 and run.spec.id == "CartPole-v1"
    observations = np.linspace(-0.2, 0.2, 8, dtype=np.float32).reshape(2, 4)
    older = Run.open(runs["dqn"], checkpoint=200)
    actions = [each.agent.act(observations, evaluate=True) for each in (run, older)]
    assert all(each.shape == (2,) for each in actions)


class TestEvaluatedOtherwise:
    def test_the_result_says_so(self, tmp_path, cli):
        q_learning().run(tmp_path)
        plain = cli("evaluate", "--base_dir", tmp_path, "--episodes", 2)
        ran = cli(
            *("evaluate", "--base_dir", tmp_path, "--episodes", 2),
            *("--gin_bindings", "EpsilonGreedy.epsilon_eval = 0.5"),
            *("--gin_bindings", "Runner.max_steps_per_episode = 10"),
        )
        assert plain.status == ran.status == 0
        assert "EpsilonGreedy.epsilon_eval: 0.5 here, 0.0 in training" in ran.out
        assert "Runner.max_steps_per_episode: 10 here, 60 in training" in ran.out
        assert " in training" not in plain.out
        usual, changed = sorted(
            (tmp_path / "evaluations").iterdir(), key=lambda path: len(path.name)
        )
        result = json.loads(changed.read_text())
        assert result["changed"] == {
            "EpsilonGreedy.epsilon_eval": {"trained": "0.0", "evaluated": "0.5"},
            "Runner.max_steps_per_episode": {"trained": "60", "evaluated": "10"},
        }
        assert result["protocol"]["max_steps_per_episode"] == 10 and max(result["lengths"]) <= 10
        assert "changed" not in json.loads(usual.read_text())

    @pytest.mark.parametrize(
        ("binding", "sentence"),
        [
            ("EpsilonGreedy.epsilon_evl = 0.5", "epsilon_evl"),
            ("create_environment.id = 'FrozenLake-v1'", "its environment, FrozenLake-v1"),
            (
                "import dopamine_lite.agents.random_agent\nRunner.agent = @RandomAgent",
                "leave out the bindings that change the agent",
            ),
        ],
    )
    def test_mistakes(self, tmp_path, cli, binding, sentence):
        q_learning("Runner.num_iterations = 1").run(tmp_path)
        ran = cli("evaluate", "--base_dir", tmp_path, "--gin_bindings", binding)
        assert ran.status == 2 and sentence in ran.err
        assert not (tmp_path / "evaluations").exists()

    def test_an_edited_config_is_found_out_all_the_same(self, tmp_path, cli):
        q_learning("Runner.num_iterations = 1").run(tmp_path)
        config = tmp_path / "config.gin"
        config.write_text(config.read_text().replace("Runner.seed = 1", "Runner.seed = 4"))
        ran = cli(
            *("evaluate", "--base_dir", tmp_path),
            *("--gin_bindings", "EpsilonGreedy.epsilon_eval = 0.5"),
        )
        assert ran.status == 2 and "Runner.seed: this run 1, now 4" in ran.err


class TestFromRun:
    """A run that begins with the weights of another."""

    def test_it_has_its_weights_and_nothing_else(self, tmp_path, runs, gin_files):
        bindings = [f"Runner.from_run = '{runs['dqn']}@200'", "Runner.seed = 5"]
        runner = Experiment(gin_files["dqn"], bindings).runner(tmp_path / "run")
        iterations = runner.iterations()
        runner.training.begin_with_weights()  # as the first thing that iterations does
        begun, source = (
            runner.agent.get_state(),
            Checkpointer(runs["dqn"] / "checkpoints").load(200),
        )
        trained = source.state["agent"]
        for network in ("online", "target"):
            for name, values in begun[network].items():
                np.testing.assert_array_equal(values, trained["online"][name])
        assert begun["steps"] == begun["updates"] == 0
        fresh = Experiment(gin_files["dqn"]).runner(tmp_path / "fresh").agent.get_state()
        np.testing.assert_equal(begun["optimizer"], fresh["optimizer"])
        next(iterations)
        iterations.close()
        origin = provenance.read(tmp_path / "run")["from_run"]
        assert (origin["run"], origin["checkpoint"]) == (str(runs["dqn"]), 200)

    def test_it_says_what_is_otherwise_and_resumes_exactly(self, tmp_path, cli):
        q_learning().run(tmp_path / "source")
        begin = [
            "QLearningAgent.learning_rate = 0.25",
            f"Runner.from_run = '{tmp_path / 'source'}'",
        ]
        q_learning(*begin).run(tmp_path / "whole")
        iterations = q_learning(*begin).iterations(tmp_path / "parts")
        next(iterations)
        iterations.close()
        shutil.rmtree(tmp_path / "source" / "checkpoints")  # it has its own by now
        q_learning(*begin).run(tmp_path / "parts")
        assert results(tmp_path / "parts") == results(tmp_path / "whole")
        first = read_iterations(tmp_path / "whole")[0]["train"]["average_return"]
        assert first != read_iterations(tmp_path / "source")[0]["train"]["average_return"]

    def test_killed_before_its_first_checkpoint_it_begins_with_the_same(self, tmp_path, capsys):
        source, run = tmp_path / "source", tmp_path / "run"
        q_learning("Runner.num_iterations = 1").run(source)
        begin = [f"Runner.from_run = '{source}'"]
        q_learning(*begin).run(tmp_path / "whole")
        runner = q_learning(*begin).runner(run)
        runner.training.signals.arrived = 2  # stops at the first step
        with pytest.raises(Stopped):
            runner.run()
        q_learning("Runner.num_iterations = 2").run(source)  # its newest checkpoint is another now
        capsys.readouterr()
        q_learning(*begin).run(run)
        assert f"weights of {source} at agent step 300." in capsys.readouterr().err
        assert results(run) == results(tmp_path / "whole")

    @pytest.mark.parametrize(
        ("source", "sentence"),
        [
            ("nowhere", "there is no run in nowhere"),
            ("{source}@7", "checkpoint 7"),
            ("{frozen}", "do not fit this QLearningAgent (ValueError: tables"),
            ("{network}", "this QLearningAgent (they belong to another kind of agent)"),
        ],
    )
    def test_mistakes_leave_nothing(self, tmp_path, cli, monkeypatch, runs, source, sentence):
        monkeypatch.chdir(tmp_path)
        q_learning("Runner.num_iterations = 1").run(tmp_path / "source")
        sarsa().run(tmp_path / "frozen")
        places = {
            "source": tmp_path / "source",
            "frozen": tmp_path / "frozen",
            "network": runs["dqn"],
        }
        given = source.format(**places)
        ran = cli(
            *("train", "--base_dir", "new", "--gin_files", "classics/q_learning_cliff.gin"),
            *("--from_run", given),
        )
        assert ran.status == 2 and sentence in ran.err
        assert not (tmp_path / "new").exists()

    def test_the_agent_before_it_learned_is_not_kept(self, tmp_path, cli):
        q_learning("Runner.num_iterations = 1").run(tmp_path / "source")
        q_learning(f"Runner.from_run = '{tmp_path / 'source'}'").run(tmp_path / "run")
        ran = cli("evaluate", "--base_dir", tmp_path / "run", "--checkpoint", 0)
        assert ran.status == 2 and "began with the weights of another run" in ran.err


def test_a_run_tells_its_files_and_bindings(tmp_path):
    q_learning().run(tmp_path)
    known = provenance.read(tmp_path)["started"]["config"]
    assert known == {
        "gin_files": ["classics/q_learning_cliff.gin"],
        "gin_bindings": [*SHORT, "Runner.seed = 1"],
    }


def test_the_contracts_names_come_without_tensorflow():
    program = (
        "import sys, dopamine_lite; from dopamine_lite import *; "
        "assert issubclass(Agent, object) and Step._fields and Transitions._fields; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


USERS_FILE = """
from dopamine_lite import Agent, Environment, EnvironmentSpec, Experiment, Run, Seeds, Step
from dopamine_lite import Transitions, UserError

def played(base_dir: str) -> float:
    run: Run = Experiment("dqn/cartpole.gin", ["DQNAgent.gamma = 0.9"], seed=1).run(base_dir)
    spec: EnvironmentSpec = run.spec
    returns: list[float] = run.evaluate(episodes=10).returns
    return max(returns) + len(spec.id)

class Mine(Agent):
    def __init__(self, spec: EnvironmentSpec, seeds: Seeds):
        self._generator = seeds.generator("mine")

wrong: int = Experiment("dqn/cartpole.gin").run("somewhere")
"""


@pytest.mark.exhaustive
def test_mypy_knows_the_types_in_a_users_file(tmp_path):
    (tmp_path / "mine.py").write_text(USERS_FILE)
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\n[mypy-gymnasium.*]\nignore_missing_imports = True\n"
    )
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--config-file",
            "mypy.ini",
            "--follow-imports=silent",
            "mine.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    lines = [line for line in checked.stdout.splitlines() if "error" in line and "mine.py" in line]
    assert len(lines) == 1, checked.stdout
    assert 'Incompatible types in assignment (expression has type "Run"' in lines[0]
