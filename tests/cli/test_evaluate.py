"""`evaluate`: the same seed gives the same numbers; the statistics are what they say."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from dopamine_lite.experiment import evaluation
from dopamine_lite.experiment.evaluation import summary


@pytest.fixture
def run(tmp_path, runs):
    return {name: shutil.copytree(runs[name], tmp_path / name) for name in runs}


@pytest.mark.parametrize("name", ["random", "dqn"])
def test_same_seed_same_numbers(name, run, cli, tmp_path):
    arguments = ["evaluate", "--base_dir", run[name], "--episodes", 6]
    first = cli(*arguments, "--seed", 1)
    assert first.status == 0, first.err
    written = run[name] / "evaluations" / "checkpoint-400-episodes-6-seed-1.json"
    result = json.loads(written.read_text())
    again = cli(*arguments, "--seed", 1, "--output", tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == result
    assert again.out.splitlines()[:-1] == first.out.splitlines()[:-1]
    cli(*arguments, "--seed", 2, "--output", tmp_path / "other.json")
    assert json.loads((tmp_path / "other.json").read_text())["returns"] != result["returns"]

    assert len(result["returns"]) == len(result["lengths"]) == 6
    assert result["returns"] == result["lengths"]  # CartPole pays 1 a step
    assert result["checkpoint"] == 400 and result["environment"] == "CartPole-v1"
    assert result["summary"] == summary(result["returns"])
    assert result["versions"]["tensorflow"]
    mean = np.mean(result["returns"])
    assert f"mean {mean:,.2f}" in first.out
    assert "over the episodes of this one agent, not over seeds" in first.out
    assert "protocol: " in first.out


def test_a_checkpoint_can_be_chosen(run, cli):
    evaluated = cli(
        *("evaluate", "--base_dir", run["random"], "--checkpoint", 200, "--episodes", 1)
    )
    assert evaluated.status == 0
    written = run["random"] / "evaluations" / "checkpoint-200-episodes-1-seed-0.json"
    result = json.loads(written.read_text())
    assert result["checkpoint"] == 200
    assert result["summary"]["interval_95"] is None
    assert "interval" not in evaluated.out


def test_checkpoint_0_is_the_agent_before_it_learned(run, cli):
    arguments = ["evaluate", "--base_dir", run["dqn"], "--episodes", 4]
    lengths = []
    for checkpoint in (0, 400):
        assert cli(*arguments, "--checkpoint", checkpoint).status == 0
        written = run["dqn"] / f"evaluations/checkpoint-{checkpoint}-episodes-4-seed-0.json"
        lengths.append(json.loads(written.read_text())["lengths"])
    assert lengths[0] != lengths[1]
    shutil.rmtree(run["dqn"] / "checkpoints")  # needs none
    again = run["dqn"] / "again.json"
    assert cli(*arguments, "--checkpoint", 0, "--output", again).status == 0
    assert json.loads(again.read_text())["lengths"] == lengths[0]


def test_fewer_episodes_do_not_replace_more(run, cli):
    for episodes in (3, 1):
        assert cli("evaluate", "--base_dir", run["random"], "--episodes", episodes).status == 0
    written = sorted((run["random"] / "evaluations").iterdir())
    assert [path.name for path in written] == [
        "checkpoint-400-episodes-1-seed-0.json",
        "checkpoint-400-episodes-3-seed-0.json",
    ]
    assert [len(json.loads(path.read_text())["returns"]) for path in written] == [1, 3]


def test_evaluating_changes_nothing_of_the_run(run, cli):
    parts = ["checkpoints", "logs", "config.gin", "provenance.json"]
    before = {part: _stamps(run["dqn"] / part) for part in parts}
    assert cli("evaluate", "--base_dir", run["dqn"], "--episodes", 1).status == 0
    assert {part: _stamps(run["dqn"] / part) for part in parts} == before


def _stamps(path):
    paths = [path, *path.rglob("*")]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def test_summary():
    values = summary([1.0, 2.0, 3.0, 10.0])
    low, high = values.pop("interval_95")
    assert values == {
        "episodes": 4,
        "mean": 4.0,
        "standard_deviation": pytest.approx(np.sqrt(50 / 3)),
        "min": 1.0,
        "median": 2.5,
        "max": 10.0,
    }
    # Of the 256 equally likely resamples of 4 in 4, 3 have a mean below 1.5 and 5 one of 8 or more.
    assert low == pytest.approx(1.5, abs=0.26) and high == pytest.approx(8.0, abs=0.3)


def test_interval_covers_the_mean_as_often_as_it_says(monkeypatch):
    monkeypatch.setattr(evaluation, "_RESAMPLES", 500)
    generator = np.random.default_rng(1)
    covered = 0
    for _ in range(60):
        low, high = summary(generator.normal(5.0, 2.0, size=50).tolist())["interval_95"]
        covered += low <= 5.0 <= high
    assert 50 <= covered <= 60


def test_equal_returns_have_an_interval_of_no_width():
    assert summary([7.0, 7.0, 7.0])["interval_95"] == [7.0, 7.0]
