"""baselines/collect.py: the rows of a run, and which rows they replace; suite.py: whether they do."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dopamine_lite.common.errors import UserError

COLLECT = Path(__file__).parents[2] / "baselines" / "collect.py"
TRAIN = "dopamine-lite train --base_dir run --gin_files "
NAME = "checkpoint-400-episodes-100-seed-0.json"
OLD_NAME = "checkpoint-400-seed-0.json"
PHASE = {"episodes": 7, "average_return": 21.5}


def script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def collect(tmp_path, monkeypatch) -> ModuleType:
    """The script, its tables in a directory of their own and still empty."""
    module = script(COLLECT)
    monkeypatch.setattr(module, "HERE", tmp_path / "tables")
    module.HERE.mkdir()
    return module


@pytest.fixture
def make_run(tmp_path):
    """Makes a run's directory by hand; each of them has another average return, from 1.0 on."""
    made: list[Path] = []

    def make(
        command: str = TRAIN + "dqn/cartpole.gin",
        *,
        resumed: tuple[str, ...] = (),
        environment: str = "CartPole-v1",
        seed: int = 0,
        commit: str | None = "1234567890abcdef+changes.1a2b3c4d",
        phases: dict[str, Any] | None = None,
        evaluations: dict[str, int] | None = None,
    ) -> Path:
        directory = tmp_path / f"run{len(made)}"
        made.append(directory)
        (directory / "logs").mkdir(parents=True)
        (directory / "evaluations").mkdir()
        start = {
            "command": command,
            "commits": {"dopamine_lite": commit},
            "machine": {"processor": "A processor"},
            "threads": {"intra_op": 2},
        }
        again = [start | {"command": other} for other in resumed]
        about = {"schema": 1, "seed": seed, "environment": environment}
        made_by = about | {"started": start, "resumed": again}
        (directory / "provenance.json").write_text(json.dumps(made_by))
        (directory / "config.gin").write_text("Runner.num_iterations = 2\n")
        lines = [
            json.dumps(
                {
                    "iteration": steps // 200 - 1,
                    "agent_steps": steps,
                    "time": {"train_seconds": 80.0, "eval_seconds": 10.0},
                }
                | (phases or {"train": PHASE, "eval": PHASE})
            )
            for steps in (200, 400)
        ]
        (directory / "logs" / "iterations.jsonl").write_text("\n".join(lines) + "\n")
        for name, episodes in ({NAME: 100} if evaluations is None else evaluations).items():
            evaluation = {
                "protocol": {"environment": environment, "max_steps_per_episode": 500},
                "summary": {
                    "episodes": episodes,
                    "mean": float(len(made)),
                    "interval_95": [0.5, 1.5],
                },
            }
            (directory / "evaluations" / name).write_text(json.dumps(evaluation))
        return directory

    return make


def rows(collect: ModuleType, name: str) -> list[dict[str, str]]:
    with (collect.HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_rows_of_a_run(collect, make_run, capsys):
    collect.main([make_run(seed=3)])
    (row,) = rows(collect, "final.csv")
    assert row == {
        "config": "dqn/cartpole.gin",
        "environment": "CartPole-v1",
        "bindings": "",
        "seed": "3",
        "agent_steps": "400",
        "evaluation_episodes": "100",
        "evaluation_return": "1",
        "evaluation_low": "0.5",
        "evaluation_high": "1.5",
        "last_train_return": "21.5",
        "commit": "1234567890ab+changes.1a2b3c4d",
        "protocol": "environment CartPole-v1; max_steps_per_episode 500",
        "processor": "A processor",
        "threads": "2",
        "hours": "0.05",
    }
    curves = rows(collect, "curves.csv")
    assert [point["agent_steps"] for point in curves] == ["200", "400"]
    assert curves[0] == {name: row[name] for name in collect.KEY} | {
        "agent_steps": "200",
        "train_episodes": "7",
        "train_return": "21.5",
        "eval_episodes": "7",
        "eval_return": "21.5",
    }
    assert "with" not in capsys.readouterr().out


def test_the_same_experiment_replaces_its_rows_and_another_does_not(collect, make_run, capsys):
    collect.main([make_run(), make_run(seed=1), make_run()])
    assert [row["evaluation_return"] for row in rows(collect, "final.csv")] == ["3", "2"]
    other = make_run(TRAIN + "dqn/cartpole.gin --gin_bindings 'DQNAgent.gamma = 0.9'")
    capsys.readouterr()
    collect.main([other])
    final = rows(collect, "final.csv")
    assert [(row["bindings"], row["evaluation_return"]) for row in final] == [
        ("", "3"),
        ("", "2"),
        ("DQNAgent.gamma = 0.9", "4"),
    ]
    assert len(rows(collect, "curves.csv")) == 6
    shown = " ".join(capsys.readouterr().out.split())
    assert "with DQNAgent.gamma" in shown


@pytest.mark.parametrize(
    ("command", "resumed", "config", "bindings"),
    [
        (TRAIN + "elsewhere/configs/dqn/cartpole.gin --seed 0", (), "dqn/cartpole.gin", ""),
        ("dopamine-lite train --gin_files=dqn/cartpole.gin --seed=0", (), "dqn/cartpole.gin", ""),
        ("python -m dopamine_lite train --gin_files dqn/cartpole", (), "dqn/cartpole.gin", ""),
        (TRAIN + "mine.gin --gin_files more.gin", (), "mine.gin + more.gin", ""),
        (TRAIN + "a/b.gin --gin_bindings=Runner.seed=0", (), "a/b.gin", ""),
        (TRAIN + "a/b.gin --gin_bindings 'AtariEnvironment.game = \"Pong\"'", (), "a/b.gin", ""),
        (TRAIN + "a/b.gin --gin_bindings=MinAtarEnvironment.game='pong'", (), "a/b.gin", ""),
        (
            TRAIN + "a/b.gin --gin_bindings Z.b=2 --gin_bindings='A.c  =  3' --gin_bindings Z.b=4",
            (),
            "a/b.gin",
            "A.c = 3; Z.b = 4",
        ),
        (
            TRAIN + "a/b.gin --gin_bindings Runner.num_iterations=1",
            ("dopamine-lite train --base_dir run --gin_bindings 'Runner.num_iterations = 20'",),
            "a/b.gin",
            "Runner.num_iterations = 20",
        ),
        (TRAIN + "a/b.gin --gin_bindings 'import mine'", (), "a/b.gin", "import mine"),
    ],
)
def test_config_and_bindings_of_a_command(collect, make_run, command, resumed, config, bindings):
    collect.main([make_run(command, resumed=resumed)])
    (row,) = rows(collect, "final.csv")
    assert (row["config"], row["bindings"]) == (config, bindings)


def test_a_run_that_tells_its_files_and_bindings(collect, make_run):
    run = make_run("python study.py")
    known = json.loads((run / "provenance.json").read_text())
    known["started"]["config"] = {
        "gin_files": ["a/b.gin"],
        "gin_bindings": ["C.d=1", "Runner.seed = 0"],
    }
    (run / "provenance.json").write_text(json.dumps(known))
    collect.main([run])
    (row,) = rows(collect, "final.csv")
    assert (row["config"], row["bindings"]) == ("a/b.gin", "C.d = 1")


def test_a_run_without_evaluation_phases_or_commit_or_whole_episodes(collect, make_run, capsys):
    no_episodes = {"train": {"episodes": 0, "average_return": None}}
    collect.main([make_run(phases=no_episodes, commit=None), make_run(seed=1)])
    row, _ = rows(collect, "final.csv")
    assert row["commit"] == row["last_train_return"] == ""
    point = rows(collect, "curves.csv")[0]
    assert point["train_episodes"] == "0"
    assert point["train_return"] == point["eval_episodes"] == point["eval_return"] == ""
    assert "1.5 (-4.9 to 7.9)" in capsys.readouterr().out  # t is 12.7 with one degree of freedom


@pytest.mark.parametrize(
    ("evaluations", "taken"),
    [
        ({OLD_NAME: 100}, True),
        ({OLD_NAME: 5, NAME: 100}, True),
        ({OLD_NAME: 99}, False),
        ({NAME: 1}, False),  # named by --output
        ({"checkpoint-200-episodes-100-seed-0.json": 100}, False),
        ({}, False),
    ],
)
def test_an_evaluation_is_over_100_episodes(collect, make_run, evaluations, taken):
    whole, run = make_run(seed=1), make_run(evaluations=evaluations)
    if taken:
        collect.main([run])
        assert rows(collect, "final.csv")[0]["evaluation_episodes"] == "100"
        return
    with pytest.raises(UserError, match="no evaluation of its last checkpoint over 100") as told:
        collect.main([whole, run])
    assert str(run) in str(told.value)
    assert list(collect.HERE.iterdir()) == []  # all or none


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("study.py --gin_files a.gin", "was not made by `dopamine-lite train` but by `study.py "),
        (TRAIN + "a/b.gin --unknown 3", "was not made by"),
        ("dopamine-lite train --base_dir run", "does not tell its config"),
    ],
)
def test_a_command_that_tells_no_config(collect, make_run, command, sentence):
    with pytest.raises(UserError, match=sentence):
        collect.main([make_run(command)])


def test_a_run_that_has_not_ended_is_a_sentence(collect, make_run):
    run = make_run()
    (run / "config.gin").write_text("Runner.num_iterations = 10\n")
    with pytest.raises(UserError, match="has finished 2 of its 10 iterations"):
        collect.main([run])


def test_a_directory_without_a_run_is_a_sentence(tmp_path):
    published = {path: path.read_bytes() for path in COLLECT.parent.glob("*.csv")}
    command = [sys.executable, str(COLLECT), str(tmp_path)]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert (
        refused.stderr == f"collect.py: {tmp_path} holds no run that has finished an iteration.\n"
    )
    assert {path: path.read_bytes() for path in COLLECT.parent.glob("*.csv")} == published


def test_the_published_rows(collect, capsys):
    collect.HERE = COLLECT.parent
    final, curves = rows(collect, "final.csv"), rows(collect, "curves.csv")
    keys = [collect._key(row) for row in final]
    assert len(set(keys)) == len(keys)
    assert {collect._key(row) for row in curves} == set(keys)
    assert {row["evaluation_episodes"] for row in final} == {"100"}
    collect.main([])
    assert "dqn/cartpole.gin" in capsys.readouterr().out


@pytest.mark.parametrize("collects", [False, True])
def test_a_suite_changes_files_of_the_clone_only_on_request(
    collect, make_run, tmp_path, monkeypatch, capsys, collects
):
    monkeypatch.syspath_prepend(COLLECT.parent)
    suite = script(COLLECT.with_name("suite.py"))
    commands, written = [], []
    monkeypatch.setattr(suite, "_command", lambda *command: commands.append(command) or 0)
    monkeypatch.setattr(suite, "collect", collect)
    monkeypatch.setattr(suite.tables, "main", lambda: written.append("tables"))
    monkeypatch.setattr(suite.subprocess, "run", lambda command, **_: written.append(command[-1]))
    (make_run() / "checkpoints" / "checkpoint-000000000400").mkdir(parents=True)
    asked = ["--collect"] if collects else []
    assert suite.main(["pong", "--base_dir", str(tmp_path), *asked, "--parallel", "1"]) == 0
    ((*command,),) = commands
    assert command[-2:] == ["--parallel", "1"] and "--collect" not in command
    assert "dqn/cartpole.gin" in capsys.readouterr().out
    assert len(written) == (3 if collects else 0)
    assert len(list(collect.HERE.iterdir())) == (2 if collects else 0)
