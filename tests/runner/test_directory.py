"""How far a run has come, by what lies in its directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dopamine_lite.checkpointing import Checkpointer
from dopamine_lite.reporting.log_reader import newest_steps
from dopamine_lite.runner.directory import is_in_use, progress

FINISHED = Path(__file__).parents[1] / "data" / "schema_0" / "q_learning"  # of two iterations


@pytest.fixture
def run(tmp_path) -> Path:
    return Path(shutil.copytree(FINISHED, tmp_path / "run"))


def test_a_finished_run(run):
    found = progress(run)
    assert (found.iterations, found.planned, found.agent_steps) == (2, 2, 512)
    assert [record["iteration"] for record in found.records] == [0, 1]
    assert found.finished and found.stopped is None


def test_a_run_is_finished_only_with_its_last_checkpoint(run):
    shutil.rmtree(run / "checkpoints" / "checkpoint-000000000512")
    found = progress(run)
    assert (found.iterations, found.agent_steps) == (1, 384)
    assert not found.finished


def test_a_run_that_a_callback_stopped_is_finished(run):
    config = run / "config.gin"
    longer = config.read_text().replace("num_iterations = 2", "num_iterations = 9")
    config.write_text(longer)
    assert not progress(run).finished
    log = run / "logs" / "iterations.jsonl"
    first, last = map(json.loads, log.read_text().splitlines())
    last["stopped"] = "EarlyStopping: it is good enough."
    log.write_text("".join(json.dumps(record) + "\n" for record in (first, last)))
    found = progress(run)
    assert found.finished and found.stopped == last["stopped"]
    assert (found.iterations, found.planned) == (2, 9)


def test_no_run_has_come_nowhere(tmp_path):
    assert progress(tmp_path).iterations == progress(tmp_path).agent_steps == 0
    assert not progress(tmp_path).finished
    assert not is_in_use(tmp_path) and newest_steps(tmp_path) == 0


def test_the_newest_steps_are_those_of_the_last_whole_line(run):
    log = run / "logs" / "episodes.jsonl"
    *_, before, last = map(json.loads, log.read_text().splitlines())
    assert newest_steps(run) == last["agent_steps"]
    content = log.read_bytes()
    log.write_bytes(content[:-5])  # a run is writing it
    assert newest_steps(run) == before["agent_steps"]
    log.write_bytes(content + b"{}\n")
    assert newest_steps(run) == 0
    log.write_bytes(b"")
    assert newest_steps(run) == 0


def test_a_run_is_in_use_while_its_lock_is_held(run):
    checkpointer = Checkpointer(run / "checkpoints")
    assert not is_in_use(run)
    checkpointer.lock()
    assert is_in_use(run)
    checkpointer.close()
    assert not is_in_use(run)
