"""`inspect`: tells what a run is and whether it is intact, without TensorFlow."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dopamine_lite import configuration
from dopamine_lite.checkpointing import reader
from dopamine_lite.checkpointing.storage import Damaged
from dopamine_lite.configuration import history
from tests.cli.test_main import _modules_imported_by


def test_report_of_a_run(runs, cli):
    shown = cli("inspect", "--base_dir", runs["dqn"])
    assert shown.status == 0, shown.err
    assert "2 of 2" in shown.out and "intact" in shown.out
    assert "\x1b" not in shown.out  # plain, as nobody sees it
    report = json.loads(cli("inspect", "--base_dir", runs["dqn"], "--json").out)
    assert report["run"]["agent_steps"] == 400
    assert report["checkpoints"] == {"numbers": [200, 400], "newest": 400, "state": "intact"}
    assert report["experiment"]["Runner.training_steps"] == "200"
    assert report["last_iteration"]["iteration"] == 1
    assert report["disk_use"]["checkpoints"] > 1000
    # 4 * 8 + 8 parameters in the torso, 8 * 2 + 2 in the head
    assert report["agent"]["parameters"] == 58
    assert report["agent"]["replay"] == "CircularReplay"
    assert report["provenance"]["started"]["versions"]["tensorflow"]
    assert report["provenance"]["protocol"]["environment"] == "CartPole-v1"


def test_where_the_time_went(runs, cli):
    times = json.loads(cli("inspect", "--base_dir", runs["dqn"], "--json").out)["time"]
    assert times["iterations"] == "2 of 2"
    assert times["run"]["update"] >= times["last_iteration"]["update"] > 0
    shown = cli("inspect", "--base_dir", runs["dqn"]).out
    _, _, section = shown.partition("\nTime of the run, and of the last iteration\n")
    rows = [line.split() for line in section.partition("\n\n")[0].splitlines()]
    names = [row[0] for row in rows]
    assert [name for name in names if name in ("environment", "update", "evaluation", "other")] == [
        *("environment", "update", "evaluation", "environment", "other", "other"),
    ]
    (update,) = (row for row in rows if row[0] == "update")
    assert update[1] == f"{times['run']['update']:,.2f}"
    assert "parts" not in shown  # they are not repeated among the numbers of the last iteration


def test_all_settings_by_whose_they_are(runs, cli):
    report = json.loads(cli("inspect", "--base_dir", runs["dqn"], "--json").out)
    agent, environment = report["agent_settings"], report["environment_settings"]
    assert next(iter(agent)).startswith("DQNAgent.")  # then its parts, as it refers to them
    assert agent["DQNAgent.gamma"] == "0.99"
    assert agent["Adam.learning_rate"] == "0.001"
    assert agent["CircularReplay.replay_capacity"] == "1000"
    assert agent["EpsilonGreedy.epsilon_train"] == "0.05"
    assert environment == {
        "create_environment.id": "'CartPole-v1'",
        "create_environment.kwargs": "None",
    }
    assert report["other_settings"]["tensorflow_threads.intra_op"] == "1"
    # Each setting of the config is in one of the sections.
    text = (runs["dqn"] / "config.gin").read_text()
    sections = ("experiment", "agent_settings", "environment_settings", "other_settings")
    shown = [name for section in sections for name in report[section]]
    bound = [name for name, value in configuration.statements(text).items() if value]
    assert sorted(shown) == sorted(bound)
    assert "\n  Adam.learning_rate " in cli("inspect", "--base_dir", runs["dqn"]).out


def test_resumes_are_lines(gin_files, cli, tmp_path):
    """Each with the step that it went on from; what had changed since the last start beside it."""
    run = tmp_path / "run"
    for iterations in (1, 2, 3):
        arguments = ("train", "--base_dir", run, "--gin_files", gin_files["random"])
        ran = cli(*arguments, "--gin_bindings", f"Runner.num_iterations = {iterations}")
        assert ran.status == 0, ran.err
    path = run / "provenance.json"
    known = json.loads(path.read_text())
    assert [start["agent_steps"] for start in (known["started"], *known["resumed"])] == [
        0,
        200,
        400,
    ]
    first, second = known["resumed"]
    first["time"], first["commits"] = (
        "2026-11-27T10:02:33+00:00",
        {"dopamine_lite": "abcdef0123456"},
    )
    second |= {"time": 5, "commits": {"dopamine_lite": "abcdef0123456+changes.1234"}}
    second["versions"]["numpy"] = "9.9\x1b[2J"
    del second["agent_steps"]  # as an earlier version left it
    path.write_text(json.dumps(known))
    shown = cli("inspect", "--base_dir", run)
    rows = dict(
        line.strip().split(None, 1) for line in shown.out.splitlines() if " " in line.strip()
    )
    assert rows["resumed"] == "2 times"
    assert rows["resumed.1"] == "2026-11-27 10:02 UTC at agent step 200 with commit abcdef0"
    assert rows["resumed.2"] == "5 with commit abcdef0 and local changes"
    assert "The version of numpy was" in shown.out and "9.9\\x1b[2J" in shown.out
    assert "\x1b" not in shown.out and "{" not in shown.out.partition("Provenance")[2]
    report = json.loads(cli("inspect", "--base_dir", run, "--json").out)
    assert report["provenance"]["resumed"] == known["resumed"]  # complete


def test_an_iteration_that_will_be_run_again_does_not_count(runs, cli, tmp_path):
    """A kill between the line of an iteration and its checkpoint leaves the line."""
    run = tmp_path / "run"
    shutil.copytree(runs["dqn"], run)
    shutil.rmtree(run / "checkpoints" / "checkpoint-000000000400")
    report = json.loads(cli("inspect", "--base_dir", run, "--json").out)
    assert report["run"]["iterations"] == "1 of 2"


def test_inspect_imports_no_tensorflow(runs):
    imported = _modules_imported_by("inspect", "--base_dir", str(runs["dqn"]))
    assert not {"tensorflow", "keras", "gymnasium"} & imported


def test_damage_is_told(runs, cli, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs["dqn"], run)
    arrays = run / "checkpoints" / "checkpoint-000000000400" / "state.npz"
    content = bytearray(arrays.read_bytes())
    content[len(content) // 2] ^= 1
    arrays.write_bytes(content)
    shown = cli("inspect", "--base_dir", run)
    assert shown.status == 3
    assert "damaged: state.npz does not have the content that was written" in shown.out


def test_a_damaged_checkpoint_has_a_status_of_its_own(runs, cli, tmp_path):
    run = shutil.copytree(runs["dqn"], tmp_path / "run")
    for number, left in ((400, "the next `train` goes on from checkpoint 200"), (200, "no ")):
        (run / "checkpoints" / f"checkpoint-{number:012d}" / "state.json").unlink()
        shown = cli("inspect", "--base_dir", run, "--json")
        assert shown.status == 3
        state = json.loads(shown.out)["checkpoints"]["state"]
        assert state.startswith(f"damaged: state.json is missing; {left}")


def test_a_damaged_segment_with_a_copy_is_told(runs, cli, tmp_path):
    run = shutil.copytree(runs["dqn"], tmp_path / "run")
    segment = min((run / "checkpoints" / "replay").glob("segment-*.zst"))
    segment.write_bytes(segment.read_bytes()[:-1])
    shown = cli("inspect", "--base_dir", run, "--json")
    assert shown.status == 0
    state = json.loads(shown.out)["checkpoints"]["state"]
    assert state.startswith(
        f"intact by copies, from which the next `train` repairs it: {segment.name}"
    )
    segment.with_name(f"{segment.name}.copy").unlink()
    assert cli("inspect", "--base_dir", run).status == 3


def test_files_that_are_not_the_runs_have_a_sentence(runs, cli, tmp_path):
    """What each command says of logs and provenance that a Runner did not write."""
    cases = {
        "logs/iterations.jsonl": (b'{"iteration": 1}\n', "Line 1 of ", "inspect plot"),
        "logs/episodes.jsonl": (b'[1, 2]\n"text"\n', "Line 1 of ", "plot"),
        "provenance.json": (b'{"schema": 1}', "it lacks 'started'", "inspect train"),
        "logs": (b"", "logs is a file", "inspect plot train"),
        "checkpoints": (b"", "Not a directory", "inspect evaluate"),
    }
    for name, (content, sentence, commands) in cases.items():
        run = shutil.copytree(runs["random"], tmp_path / name.replace("/", "-"))
        if (run / name).is_dir():
            shutil.rmtree(run / name)
        (run / name).write_bytes(content)
        for command in commands.split():
            output = ("--output", tmp_path / "curves.png") if command == "plot" else ()
            ran = cli(command, "--base_dir", run, *output)
            assert ran.status == 2, (name, command)
            assert sentence in ran.err and ran.err.count("\n") == 1, ran.err


def test_a_run_of_a_later_version_is_refused_as_a_start_would_be(runs, cli, tmp_path):
    run = shutil.copytree(runs["random"], tmp_path / "run")
    later = history.with_header("").replace(f"{history.SCHEMA}.", f"{history.SCHEMA + 1}.")
    (run / "config.gin").write_text(later)
    for command in ("inspect", "train"):
        ran = cli(command, "--base_dir", run)
        assert ran.status == 2 and ran.out == ""
        assert f"config.gin has schema {history.SCHEMA + 1}, but this version of" in ran.err


def test_a_log_cut_in_the_middle_of_a_line(runs, cli, tmp_path):
    run = shutil.copytree(runs["random"], tmp_path / "run")
    for name, commands in (("episodes", ("plot",)), ("iterations", ("plot", "inspect"))):
        path = run / "logs" / f"{name}.jsonl"
        os.truncate(path, path.stat().st_size - 3)
        number = path.read_bytes().count(b"\n") + 1
        for command in commands:
            output = ("--output", tmp_path / "curves.png") if command == "plot" else ()
            ran = cli(command, "--base_dir", run, *output)
            assert ran.status == 0
            assert f"Line {number} of {path} is incomplete, because " in ran.err
    resumed = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    assert resumed.status == 2
    assert "continues: it ends in the middle of line " in resumed.err


def test_run_without_a_checkpoint(runs, cli, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(runs["random"] / "config.gin", run)
    shown = cli("inspect", "--base_dir", run)
    assert shown.status == 0 and "none yet" in shown.out and "0 of 2" in shown.out


def test_files_that_a_training_run_removes_meanwhile(runs, cli, tmp_path, monkeypatch):
    run = shutil.copytree(runs["dqn"], tmp_path / "run")
    lstat, scandir = Path.lstat, os.scandir

    def removed_before_its_size(path):
        if path.name == "state.npz":
            path.unlink()
        return lstat(path)

    def removed_before_its_content(path="."):
        if Path(path).name == "checkpoint-000000000200":
            shutil.move(path, tmp_path / "removed")
        return scandir(path)

    whole = json.loads(cli("inspect", "--base_dir", run, "--json").out)["disk_use"]
    monkeypatch.setattr(Path, "lstat", removed_before_its_size)
    monkeypatch.setattr(os, "scandir", removed_before_its_content)
    shown = cli("inspect", "--base_dir", run, "--json")
    monkeypatch.undo()
    assert shown.status == 0, shown.err
    left = json.loads(shown.out)["disk_use"]
    assert 0 < left.pop("checkpoints") < whole.pop("checkpoints")
    assert left == whole
    assert (tmp_path / "removed").is_dir() and not list(run.rglob("state.npz"))


def test_the_newest_checkpoint_is_looked_for_again_when_it_is_removed(
    runs, cli, tmp_path, monkeypatch
):
    run = shutil.copytree(runs["dqn"], tmp_path / "run")
    verify_checkpoint, verified = reader.verify_checkpoint, []

    def verify(directory, number, replay):
        verified.append(number)
        if number == 400:
            shutil.rmtree(directory)
            raise Damaged("state.npz is missing")
        return verify_checkpoint(directory, number, replay)

    monkeypatch.setattr(reader, "verify_checkpoint", verify)
    shown = cli("inspect", "--base_dir", run, "--json")
    report = json.loads(shown.out)["checkpoints"]
    assert report == {"numbers": [200], "newest": 200, "state": "intact"}
    assert shown.status == 0 and verified == [400, 200]


@pytest.mark.parametrize(
    "command", ["inspect", "train", "train --gin_files {gin_file}", "evaluate"]
)
def test_a_config_that_is_no_text(command, runs, cli, gin_files, tmp_path):
    run = shutil.copytree(runs["random"], tmp_path / "run")
    config = run / "config.gin"
    config.write_bytes(config.read_bytes()[:40] + b"\xff\xfe" + config.read_bytes()[40:])
    name, *rest = command.format(gin_file=gin_files["random"]).split()
    refused = cli(name, "--base_dir", run, *rest)
    assert refused.status == 2
    assert str(config) in refused.err and "text" in refused.err
    assert refused.err.startswith("dopamine-lite: ") and refused.err.count("\n") == 1
