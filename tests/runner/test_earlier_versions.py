"""Run directories that earlier versions wrote go on, and can be evaluated and inspected.

tests/data/schema_N/ holds small finished runs as a version with that schema of config.gin left them.
Whoever raises the schema adds such runs.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dopamine_lite.configuration import history
from dopamine_lite.reporting.log_reader import read_iterations
from tests.core import core

DATA = Path(__file__).parents[1] / "data"
RUNS = sorted(path.relative_to(DATA).as_posix() for path in DATA.glob("schema_*/*"))


@pytest.mark.parametrize(
    "name", core(RUNS, "schema_0/dqn", "schema_1/rainbow", "schema_1/reinforce")
)
def test_a_run_of_an_earlier_version_goes_on(tmp_path, cli, name):
    run = tmp_path / "run"
    shutil.copytree(DATA / name, run)
    before = read_iterations(run)
    assert "Time of" not in cli("inspect", "--base_dir", run).out  # nobody measured it
    evaluated = cli("evaluate", "--base_dir", run, "--episodes", 2)
    assert evaluated.status == 0, evaluated.err
    resumed = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 3")
    assert resumed.status == 0, resumed.err
    assert "Resuming at agent step 512, after 2 of 3 iterations." in resumed.err
    after = read_iterations(run)
    assert after[:2] == before and len(after) == 3
    assert "parts" in after[2]["time"] and "Where the time went" in resumed.out
    assert "Time of 1 of 3 iterations\n" in cli("inspect", "--base_dir", run).out
    assert f"Schema {history.SCHEMA}." in (run / "config.gin").read_text().splitlines()[0]
    again = cli("train", "--base_dir", run, "--gin_bindings", "Runner.num_iterations = 4")
    assert again.status == 0 and len(read_iterations(run)) == 4
    counted = "Runner.checkpoint_every_steps counted" in resumed.err
    assert counted == name.startswith("schema_0/")
    assert "Runner.checkpoint_every_steps counted" not in again.err


def test_there_are_runs_of_every_earlier_schema():
    schemas = {int(path.name.removeprefix("schema_")) for path in DATA.glob("schema_*")}
    assert schemas == set(range(history.SCHEMA))
