"""The flags of `sweep`: which go together, and what is refused before anything is built or written."""

from __future__ import annotations

import json
import sys

import pytest

from tests.cli.test_main import _modules_imported_by

FILE = ("--gin_files", "dqn/cartpole.gin")
SPACE = ("--grid", "DQNAgent.gamma=uniform(0.9,0.99)")


def test_help_imports_nothing_heavy():
    heavy = {"tensorflow", "keras", "numpy", "gin", "rich", "optuna", "ray"}
    assert not heavy & _modules_imported_by("sweep", "--help")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "--gin_files is missing: name an experiment, such as --gin_files dqn/cartpole.gin"),
        (["--gin_files", "dqn/cartpol.gin"], "(did you mean dqn/cartpole.gin?)"),
        ([*FILE, "--seeds", "0:0"], "--seeds 0:0 is empty"),
        ([*FILE, "--grid", "DQNAgent.gamma=0.9"], "gives DQNAgent.gamma no list"),
        ([*FILE, "--gin_bindings", "Runner.seed = 3"], "name seeds with --seeds"),
        ([*FILE, *SPACE], "is a space to search: add --optuna and --trials"),
        ([*FILE, "--optuna", "--trials=3"], "--optuna needs a space to search"),
        ([*FILE, "--optuna", *SPACE], "--trials is missing"),
        ([*FILE, "--trials=3"], "--trials goes with --optuna only"),
        ([*FILE, "--optuna_seed=3"], "--optuna_seed goes with --optuna only"),
        (
            [*FILE, "--optuna", "--trials=3", "--grid", "DQNAgent.gamma=[0.9,0.99]"],
            "write 'DQNAgent.gamma=choice(0.9, 0.99)'",
        ),
        (
            [*FILE, "--optuna", "--trials=3", "--grid", "Runner.num_iterations=int(1,9)"],
            "a search compares runs of equal length",
        ),
        (
            [*FILE, "--gin_files", "c51/cartpole.gin", "--optuna", "--trials=3", *SPACE],
            "--optuna searches one experiment",
        ),
        ([*FILE, "--optuna", "--trials=3", *SPACE, "--print_slurm"], "--print_slurm goes with a"),
        ([*FILE, "--output", "study.sh"], "--output goes with --print_slurm only"),
        ([*FILE, "--ray_address=auto"], "--ray_address goes with --backend ray only"),
        ([*FILE, "--cpus_per_trial=2"], "--cpus_per_trial goes with --backend ray only"),
        ([*FILE, "--backend=ray", "--parallel=2"], "--parallel goes with --backend local only"),
        ([*FILE, "--print_slurm", "--parallel=2"], "leave out --backend and --parallel"),
        ([*FILE, "--parallel=0"], "--parallel=0"),
        ([*FILE, "--backend=cloud"], "--backend=cloud"),
    ],
)
def test_mistakes_in_the_flags(arguments, sentence, tmp_path, cli):
    refused = cli("sweep", "--base_dir", tmp_path / "study", *arguments)
    assert refused.status == 2 and sentence in refused.err
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("module", "arguments", "sentence"),
    [
        ("ray", ["--backend=ray"], "--backend ray needs Ray: pip install 'dopamine-lite[ray]'."),
        ("optuna", ["--optuna", "--trials=3", *SPACE], "pip install 'dopamine-lite[optuna]'."),
    ],
)
def test_an_extra_that_is_missing(module, arguments, sentence, tmp_path, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    refused = cli("sweep", "--base_dir", tmp_path / "study", *FILE, *arguments)
    assert refused.status == 2 and sentence in refused.err
    assert not (tmp_path / "study").exists()


def test_a_place_that_holds_something_else_is_refused(tmp_path, runs, cli):
    refused = cli("sweep", "--base_dir", runs["random"], *FILE)
    assert refused.status == 2 and "holds a run: give a study a directory of its own" in refused.err
    (tmp_path / "notes.txt").touch()
    refused = cli("sweep", "--base_dir", tmp_path, *FILE)
    assert refused.status == 2 and "holds other things (notes.txt) and no study" in refused.err


def test_without_experiments_a_study_tells_its_command(tmp_path, cli):
    command = "dopamine-lite sweep --base_dir there --gin_files mine.gin"
    known = {"schema": 1, "commands": [command], "trials": []}
    (tmp_path / "study.json").write_text(json.dumps(known))
    refused = cli("sweep", "--base_dir", tmp_path)
    assert refused.status == 2 and f"was begun by `{command}`" in refused.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "is damaged (a list instead of an object)"),
        ("{", "is damaged ("),
        ('{"schema": 2}', "has schema 2, but this dopamine_lite reads 1"),
        ('{"schema": 1, "commands": []}', "is damaged (it lacks 'trials')"),
        ('{"schema": 1, "commands": [3], "trials": []}', "3 instead of a string"),
    ],
)
def test_a_damaged_record_is_a_sentence(text, sentence, tmp_path, cli):
    (tmp_path / "study.json").write_text(text)
    refused = cli("sweep", "--base_dir", tmp_path)
    assert refused.status == 2 and "Traceback" not in refused.err
    assert sentence in refused.err, refused.err
