"""`train`: a run from nothing to its end, resumed after signals, never mixed with another."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import time

import pytest

from dopamine_lite.reporting.log_reader import read_episodes
from tests.cli.conftest import finish, start
from tests.core import core


def _iterations(directory):
    lines = (directory / "logs" / "iterations.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_process_trains_from_any_directory_and_prints_the_next_commands(tmp_path, gin_files):
    process = start(
        *("train", "--base_dir", "my run", "--gin_files", gin_files["dqn"], "--seed", 3),
        cwd=tmp_path,
    )
    trained = finish(process)
    assert trained.status == 0, trained.err
    assert "Traceback" not in trained.err and "oneDNN" not in trained.err
    assert "dopamine-lite evaluate --base_dir 'my run'" in trained.out
    assert "tensorboard --logdir 'my run'/logs" in trained.out
    directory = tmp_path / "my run"
    assert [record["iteration"] for record in _iterations(directory)] == [0, 1]
    config = (directory / "config.gin").read_text()
    assert "\nRunner.seed = 3\n" in config
    assert "\nDQNAgent.gamma = 0.99\n" in config  # a default
    assert "\nMLP.hidden_units = (8,)\n" in config


@pytest.mark.parametrize("number", core([signal.SIGINT, signal.SIGTERM], signal.SIGTERM))
def test_signal_stops_a_run_that_then_goes_on(number, tmp_path, gin_files, cli):
    run = tmp_path / "run"
    arguments = ["train", "--base_dir", run, "--gin_files", gin_files["random"]]
    long = ["--gin_bindings", "Runner.num_iterations = 1000000"]
    process = start(*arguments, *long)
    while not (run / "checkpoints").is_dir() or not list((run / "checkpoints").glob("check*")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    stopped = finish(process)
    assert stopped.status == 128 + number
    last = stopped.err.splitlines()[-1]
    assert last.startswith(f"dopamine-lite: Stopped by {number.name} at agent step ")
    assert "Traceback" not in stopped.err

    done = max(int(path.name[-12:]) for path in (run / "checkpoints").glob("checkpoint-*"))
    more = f"Runner.num_iterations = {done // 200 + 1}"
    assert cli("train", "--base_dir", run, "--gin_bindings", more).status == 0
    numbers = [record["iteration"] for record in _iterations(run)]
    assert numbers == list(range(done // 200 + 1))


def test_finished_run_says_so_and_can_be_extended(tmp_path, runs, cli, gin_files):
    run = tmp_path / "run"
    shutil.copytree(runs["random"], run)
    before = (run / "logs" / "iterations.jsonl").read_bytes()
    config = (run / "config.gin").read_text()
    again = cli("train", "--base_dir", run, "--gin_files", gin_files["random"])
    assert again.status == 0
    assert "The run is finished: 2 of 2 iterations" in again.err
    assert (run / "logs" / "iterations.jsonl").read_bytes() == before

    fewer = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 1")
    assert fewer.status == 0 and "The run is finished: 2 of 1 iterations" in fewer.err

    more = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    assert more.status == 0 and len(_iterations(run)) == 3
    longer = config.replace("\nRunner.num_iterations = 2\n", "\nRunner.num_iterations = 3\n")
    assert (run / "config.gin").read_text() == longer != config


def test_training_without_evaluation(tmp_path, cli, gin_files):
    def train(run, iterations):
        bindings = ('Runner.schedule="continuous_train"', f"Runner.num_iterations={iterations}")
        arguments = (f"--gin_bindings={binding}" for binding in bindings)
        return cli("train", "--base_dir", run, "--gin_files", gin_files["random"], *arguments)

    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    for run, iterations in ((whole, 3), (resumed, 2), (resumed, 3)):
        trained = train(run, iterations)
        assert trained.status == 0 and "eval return" not in trained.err
        assert {episode["phase"] for episode in read_episodes(run)} == {"train"}
        assert [record.keys() & {"train", "eval"} for record in _iterations(run)] == (
            [{"train"}] * iterations
        )
    assert read_episodes(resumed) == read_episodes(whole)


def test_a_run_that_diverges_ends_with_a_sentence(tmp_path, cli, gin_files):
    run = tmp_path / "run"
    diverged = cli(
        *("train", "--base_dir", run, "--gin_files", gin_files["dqn"]),
        *("--gin_bindings", "Adam.learning_rate=1e30"),
    )
    assert diverged.status == 2
    *_, last = diverged.err.splitlines()
    assert re.fullmatch(
        r"dopamine-lite: loss became (nan|inf) before agent step 400: the run has diverged\. "
        r"The newest checkpoint is at agent step 200\. .*",
        last,
    )
    assert "Traceback" not in diverged.err
    assert [record["iteration"] for record in _iterations(run)] == [0]


def test_an_edit_of_a_module_of_ones_own_is_said(tmp_path, cli, gin_files, monkeypatch):
    module = tmp_path / "my_rewards.py"
    module.write_text("SCALE = 1\n")
    experiment = tmp_path / "mine.gin"
    experiment.write_text(f'import my_rewards\ninclude "{gin_files["random"]}"\n')
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["train", "--base_dir", tmp_path / "run", "--gin_files", experiment]
    sentence = "The source of the module my_rewards was "
    try:
        first, again = cli(*arguments), cli(*arguments)
        assert first.status == again.status == 0, first.err
        assert sentence not in first.err and sentence not in again.err
        module.write_text("SCALE = 2\n")
        edited = cli(*arguments)
        assert edited.status == 0 and sentence in edited.err
        assert "from this point on, the run may not repeat bit for bit" in edited.err
    finally:
        del sys.modules["my_rewards"]


def test_another_experiment_in_the_same_directory_is_refused(tmp_path, runs, cli, gin_files):
    run = tmp_path / "run"
    shutil.copytree(runs["random"], run)
    refused = cli(
        *("train", "--base_dir", run, "--gin_files", gin_files["random"], "--seed", 1),
        *("--gin_bindings", "Runner.training_steps = 300"),
    )
    assert refused.status == 2
    assert (
        "holds another experiment (Runner.seed: this run 0, now 1; "
        "Runner.training_steps: this run 200, now 300)"
    ) in refused.err
    assert "or resume the run as it is, with --base_dir alone." in refused.err
    refused = cli("train", "--base_dir", run, "--gin_files", gin_files["dqn"])
    assert "holds another experiment (Runner.agent: this run @RandomAgent, now" in refused.err


def test_a_start_that_ended_before_its_config_was_written_can_be_repeated(tmp_path, cli, gin_files):
    run = tmp_path / "my run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / ".lock").write_text("1\n")
    (run / ".config.gin").write_text("")
    assert cli("train", "--base_dir", run, "--gin_files", gin_files["random"]).status == 0
    assert len(_iterations(run)) == 2


def test_paths_are_printed_as_a_shell_takes_them_and_a_tilde_is_home(
    tmp_path, runs, cli, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    refused = cli("inspect", "--base_dir", "~/my run")
    assert f"`dopamine-lite train --base_dir '{tmp_path}/my run' --gin_files" in refused.err
    shutil.copytree(runs["random"], tmp_path / "my run")
    assert cli("inspect", "--base_dir", "~/my run").status == 0
