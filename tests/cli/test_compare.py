"""`compare` on real runs, tiny ones of two tables over three seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from dopamine_lite.cli.main import main
from tests.cli.conftest import files_below

SHORT = (
    "Runner.num_iterations = 2",
    "Runner.training_steps = 300",
    "Runner.evaluation_episodes = 2",
)


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    """Three seeds each of Q-learning and Sarsa on the cliff."""
    directory = tmp_path_factory.mktemp("tables")
    short = [f"--gin_bindings={binding}" for binding in SHORT]
    for name in ("q_learning", "sarsa"):
        for seed in map(str, range(3)):
            place = str(directory / name / seed)
            config = f"classics/{name}_cliff.gin"
            arguments = ["--base_dir", place, "--gin_files", config, "--seed", seed]
            assert main(["train", *arguments, *short]) == 0
    return directory


def test_a_table_of_two_groups(tables, cli):
    before = files_below(tables)
    ran = cli("compare", tables, "--resamples", 200)
    assert ran.status == 0, ran.err
    lines = ran.out.splitlines()
    assert lines[0].startswith("final evaluation return: average_return of the evaluation phase")
    assert lines[2] == "CliffWalking-v1"
    assert lines[3].split() == ["group", "seeds", "steps", "IQM", "mean", "median", "area"]
    assert lines[4].split()[:3] == ["Q-learning", "3", "600"]
    assert lines[5].split()[:3] == ["Sarsa", "3", "600"]
    assert "Probability that a run of one group scores higher" in ran.out
    assert "the seed is the replicate, never the episode" in ran.out
    assert files_below(tables) == before  # nothing is written to the runs
    again = cli("compare", tables, "--resamples", 200)
    assert again.out == ran.out


def test_what_output_holds(tables, cli, tmp_path):
    output = tmp_path / "new" / "comparison"
    ran = cli("compare", tables, "--output", output, "--resamples", 200, "--score", "train")
    assert ran.status == 0, ran.err
    assert f"written to {output}" in ran.out
    names = {path.name for path in output.iterdir()}
    pictures = {
        f"{name}{end}"
        for name in ("curves", "intervals", "improvement")
        for end in (".png", ".svg")
    }
    texts = {"table.csv", "table.md", "table.tex", "scores.csv", "curves.csv", "comparison.json"}
    assert names == pictures | texts
    found = json.loads((output / "comparison.json").read_text())
    scores = pd.read_csv(output / "scores.csv")
    for group in ("Q-learning", "Sarsa"):
        (mean,) = (
            row["value"]
            for row in found["final"]
            if row["group"] == group and row["statistic"] == "mean"
        )
        assert mean == pytest.approx(scores[scores["group"] == group]["score"].mean())
    # the scores are those of the logs
    for row in scores.to_dict("records"):
        last = (Path(row["run"]) / "logs" / "iterations.jsonl").read_text().splitlines()[-1]
        assert row["score"] == pytest.approx(json.loads(last)["train"]["average_return"])
    assert (output / "table.tex").read_text().count(r"\toprule") == 2
    assert "| Q-learning" in (output / "table.md").read_text()
    with Image.open(output / "curves.png") as image:
        assert image.width > 500
    assert cli("compare", tables, "--output", output, "--resamples", 200).status == 0  # replaced


def test_beside_published_results(runs, cli):
    ran = cli("compare", runs["dqn"], "--reference", "cleanrl")
    assert ran.status == 0, ran.err
    assert ran.out.startswith("final training return")
    assert "DQN, cleanrl" in ran.out
    assert (
        "The published results are training returns, so the runs' training returns are" in ran.out
    )
    assert "There is no interval for fewer than 3 seeds" in ran.out
    elsewhere = cli("compare", runs["dqn"], "--reference", "dopamine")
    assert elsewhere.status == 0
    assert "dopamine has no results in CartPole-v1" in elsewhere.out


def test_protocols_that_differ_are_refused_unless_they_are_named(runs, cli):
    """The one evaluates over two episodes, the other over three."""
    both = "compare", runs["dqn"], runs["random"]
    refused = cli(*both)
    assert refused.status == 2
    assert "The protocols in CartPole-v1 differ in evaluation_episodes (2 in" in refused.err
    named = cli(*both, "--across_protocols")
    assert named.status == 0
    assert "DQN [evaluation_episodes 2]" in named.out
    assert "cannot be compared directly" in named.out


def test_a_metric_may_name_its_phase(tables, cli):
    plain = cli("compare", tables, "--metric", "average_length", "--score", "train")
    assert plain.status == 0
    for metric in ("train/average_length", "train_average_length"):
        assert cli("compare", tables, "--metric", metric).out == plain.out
    refused = cli("compare", tables, "--metric", "eval/average_length", "--score", "train")
    assert refused.status == 2
    assert (
        "--metric eval/average_length belongs to the phase eval, but --score says train"
        in refused.err
    )


def test_no_score_of_evaluate(runs, cli):
    refused = cli("compare", runs["dqn"], "--score", "evaluations")
    assert refused.status == 2 and "has no evaluation of its last checkpoint" in refused.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "A directory is missing"),
        (("nowhere",), "There is no nowhere"),
        (("RUNS", "--by", "DQNAgent.gamma"), "No run has a setting DQNAgent.gamma"),
        (("RUNS", "--metric", "average_retrun"), "did you mean eval_average_return"),
        (("RUNS", "--last", "3"), "one run has only 2 iterations"),
        (("RUNS", "--x", "frames", "--output", "out"), "choose another --x"),
        (("RUNS", "--normalize", "human"), "no bounds to normalize CliffWalking-v1"),
        (("RUNS", "--normalize", "nothing.csv"), "is neither human nor a CSV file"),
        (
            ("RUNS", "--environment", "Pong"),
            "No run is in Pong: the environments are CliffWalking-v1",
        ),
        (("RUNS", "--reference", "dopamin"), "did you mean dopamine?"),
        (("RUNS", "--output", "FILE"), "is a file: name a directory"),
        (("RUNS", "RUNS", "--by", "environment"), "Seed 0 occurs 2 times"),
    ],
)
def test_mistakes_are_sentences(tables, cli, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    places = {"RUNS": tables, "FILE": tmp_path / "file"}
    ran = cli("compare", *(places.get(argument, argument) for argument in arguments))
    assert ran.status == 2
    assert sentence in ran.err and ran.err.startswith("dopamine-lite: ") and ran.out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_link_is_written_through(tables, cli, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    output = tmp_path / "output"
    output.mkdir()
    (output / "curves.png").symlink_to(precious)
    ran = cli("compare", tables, "--output", output)
    assert ran.status == 2 and "is a link" in ran.err
    assert precious.read_text() == "mine" and len(list(output.iterdir())) == 1
