"""`export`: models that act as the run's agent does, where this package is not installed."""

import json
import subprocess
import sys

import numpy as np
import pytest

OBSERVATIONS = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
LOAD = """
import json, sys
sys.modules["dopamine_lite"] = None  # as if it were not installed
import numpy as np, keras, tensorflow as tf
observations = np.array(json.load(sys.stdin), np.float32)
if sys.argv[1].endswith(".keras"):
    actions = np.argmax(keras.saving.load_model(sys.argv[1])(observations), axis=1)
else:
    model = tf.saved_model.load(sys.argv[1])
    actions = model.signatures["serving_default"](observations=tf.constant(observations))["actions"]
json.dump(np.asarray(actions).tolist(), sys.stdout)
"""


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("savedmodel", "policy"),
        pytest.param("keras", "policy.keras", marks=pytest.mark.exhaustive),
    ],
)
def test_the_model_acts_as_the_agent_does(runs, cli, tmp_path, kind, name):
    from dopamine_lite import Run

    output = tmp_path / name
    ran = cli("export", "--base_dir", runs["dqn"], "--format", kind, "--output", output)
    assert ran.status == 0, ran.err
    assert f"written to {output}" in ran.out
    assert [path.name for path in tmp_path.iterdir()] == [name]
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(output)],
        input=json.dumps(OBSERVATIONS.tolist()),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    agent = Run.open(runs["dqn"]).agent
    expected = [int(agent.act(row[None], evaluate=True)[0]) for row in OBSERVATIONS]
    assert json.loads(loaded.stdout) == expected
    assert len(set(expected)) == 2


def test_an_older_checkpoint_is_exported_where_it_is_named(runs, cli, tmp_path):
    ran = cli("export", "--base_dir", runs["dqn"], "--checkpoint", 200, "--output", tmp_path / "p")
    assert ran.status == 0 and "checkpoint 200: written to" in ran.out


def test_wrappers_that_the_model_lacks_are_named(runs, cli, gin_files, tmp_path):
    config = tmp_path / "selected.gin"
    config.write_text(
        f"""
import dopamine_lite.environments.wrappers
include "{gin_files["dqn"]}"
Runner.num_iterations = 1
Runner.environment = @wrapped_environment
wrapped_environment.environment = @create_environment
wrapped_environment.wrappers = [@SelectActions]
SelectActions.actions = ("push right", "push left")
"""
    )
    assert cli("train", "--base_dir", tmp_path / "run", "--gin_files", config).status == 0
    ran = cli("export", "--base_dir", tmp_path / "run", "--output", tmp_path / "policy")
    assert "do yourself what SelectActions(actions=['push right', 'push left']) did." in ran.out
    without = cli("export", "--base_dir", runs["dqn"], "--output", tmp_path / "other")
    assert "do yourself" not in without.out


def test_mistakes(runs, cli, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for arguments, sentence in (
        (("dqn",), "--output is missing"),
        (("dqn", "--output", there), "already exists"),
        (("dqn", "--format", "keras", "--output", tmp_path / "a.h5"), "does not end in .keras"),
        (("random", "--output", tmp_path / "new"), "A RandomAgent has no network to export"),
    ):
        ran = cli("export", "--base_dir", runs[arguments[0]], *arguments[1:])
        assert ran.status == 2 and sentence in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_refused_export_leaves_no_directory(runs, cli, tmp_path):
    output = tmp_path / "deep" / "er" / "policy"
    refused = cli("export", "--base_dir", runs["random"], "--output", output)
    assert refused.status == 2
    assert list(tmp_path.iterdir()) == []
