"""Links and special files in a run's directory and at --output: nothing is written through them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import files_below

LINKS = {  # in the run's directory, and what each refuses
    "checkpoints": "train",
    "checkpoints/replay": "train",
    "checkpoints/.lock": "train",
    "logs": "train",
    "logs/iterations.jsonl": "train",
    "logs/episodes.jsonl": "train",
    "config.gin": "",
    ".config.gin": "",
    "provenance.json": "",
    ".provenance.json": "",
    "evaluations": "evaluate",
    "evaluations/checkpoint-400-episodes-2-seed-0.json": "evaluate",
}
DIRECTORIES = ("checkpoints", "checkpoints/replay", "logs", "evaluations")


@pytest.mark.parametrize("name", LINKS)
def test_no_link_in_a_run_is_written_through(runs, cli, tmp_path, name):
    run, outside = shutil.copytree(runs["random"], tmp_path / "run"), tmp_path / "outside"
    link, target = run / name, outside / "target"
    outside.mkdir()
    if link.exists():
        link.rename(target)
    elif name in DIRECTORIES:
        target.mkdir()
    else:
        target.write_text("mine")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(target)
    before = files_below(outside)
    more = ("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    for command in (more, ("evaluate", "--base_dir", run, "--checkpoint", 400, "--episodes", 2)):
        ran = cli(*command)
        refused = LINKS[name] == command[0]
        assert ran.status == (2 if refused else 0), ran.err
        if refused:
            assert f"{link} is a link" in ran.err and ran.err.count("\n") == 1
    assert files_below(outside) == before


def test_a_run_behind_a_link_is_a_run(runs, cli, tmp_path):
    shutil.copytree(runs["random"], tmp_path / "disk" / "run")
    (tmp_path / "runs").symlink_to(tmp_path / "disk")
    run = tmp_path / "runs" / "run"
    more = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    assert more.status == 0, more.err
    assert cli("evaluate", "--base_dir", run, "--episodes", 2).status == 0
    assert (tmp_path / "disk" / "run" / "checkpoints" / "checkpoint-000000000600").is_dir()


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "dangling link", "directory"])
@pytest.mark.parametrize("command", ["evaluate", "plot", "record", "export"])
def test_output_is_a_regular_file_or_new(runs, cli, tmp_path, command, kind):
    suffix = {"record": ".mp4", "plot": ".png", "export": ".keras"}.get(command, ".json")
    output, target = tmp_path / f"output{suffix}", tmp_path / "target"
    if kind == "pipe":
        os.mkfifo(output)
    elif kind == "directory":
        output.mkdir()
    elif kind == "device":
        output.symlink_to("/dev/null")
    else:
        output.symlink_to(target)
    if kind == "link":
        target.write_text("mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    options = ("--format", "keras") if command == "export" else ()
    ran = cli(command, "--base_dir", runs["dqn"], "--output", output, *options)
    assert ran.status == 2 and ran.err.count("\n") == 1
    said = "is a link" if output.is_symlink() else "is a directory"
    assert f"{output} {'is not a regular file' if kind == 'pipe' else said}" in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not target.exists() or target.read_text() == "mine"


@pytest.mark.parametrize("output", ["/dev/null", "/dev/stdout", "/dev/null/x.json"])
def test_output_is_no_device(runs, cli, output):
    before = os.lstat(Path(output).parents[0] if output.endswith("json") else output)
    ran = cli("evaluate", "--base_dir", runs["random"], "--output", output, "--episodes", 2)
    assert ran.status == 2 and ran.err.count("\n") == 1
    after = os.lstat(Path(output).parents[0] if output.endswith("json") else output)
    assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)


def test_a_saved_model_replaces_no_dangling_link(runs, cli, tmp_path):
    (tmp_path / "policy").symlink_to(tmp_path / "nowhere")
    ran = cli("export", "--base_dir", runs["dqn"], "--output", tmp_path / "policy")
    assert ran.status == 2 and "already exists" in ran.err
    assert (tmp_path / "policy").is_symlink() and not (tmp_path / "nowhere").exists()
