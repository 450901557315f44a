"""`inspect`: tells what a run is and whether it is intact, without TensorFlow."""

from __future__ import annotations

import json
import shutil

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
    assert shown.status == 0
    assert "damaged: state.npz does not have the content that was written" in shown.out


def test_run_without_a_checkpoint(runs, cli, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(runs["random"] / "config.gin", run)
    shown = cli("inspect", "--base_dir", run)
    assert shown.status == 0 and "none yet" in shown.out and "0 of 2" in shown.out
