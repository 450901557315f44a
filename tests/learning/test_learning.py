"""Agents reach the returns that the README states. Minutes each: `make test-learning`."""

from __future__ import annotations

import json

import pytest

from dopamine_lite.cli.main import main


@pytest.mark.learning
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("config", "least"), [("dqn/cartpole.gin", 475), ("dqn/lunar_lander.gin", 200)]
)
def test_dqn_reaches(config, least, tmp_path):
    run = tmp_path / "run"
    result = tmp_path / "result.json"
    assert main(["train", "--base_dir", str(run), "--gin_files", config, "--seed", "0"]) == 0
    assert main(["evaluate", "--base_dir", str(run), "--output", str(result)]) == 0
    assert json.loads(result.read_text())["summary"]["mean"] >= least
