"""Several devices that share the batches of one learner do what one device does."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dopamine_lite import Experiment, Run
from dopamine_lite.common.errors import UserError
from tests.core import core
from tests.fingerprints import fingerprint
from tests.integration.shrink import shrunk
from tests.processes import start

ROOT = Path(__file__).parents[2]
# Of all that was learned, relative to numbers above 1: float32, with sums in another order.
TOLERANCE = 2e-6
AGENTS = core(
    (
        "dqn",
        "dqn, noisy, clipped",
        "c51",
        "qr_dqn",
        "iqn",
        "rainbow",
        "ppo",
        "pqn",
        "sac",
        "reinforce",
        "reinforce, without a baseline",
    ),
    *("dqn, noisy, clipped", "ppo", "sac", "reinforce", "reinforce, without a baseline"),
)


@functools.cache
def found(case: str) -> Any:
    command = [sys.executable, "-m", "tests.learning.two_devices", "cpu:0,1", case]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", AGENTS)
def test_two_devices_learn_what_one_learns(name):
    """Parameters, optimizer, priorities and metrics, after several updates."""
    case = found(name)
    assert case["moved"] > 100 * TOLERANCE  # there was something to learn
    assert case["difference"] < TOLERANCE


@pytest.mark.parametrize("name", AGENTS)
def test_copies_and_repetitions_are_equal_to_the_bit(name):
    case = found(name)
    assert case["copies"] == ["CPU:0", "CPU:1"]
    assert case["copies_equal"] and case["repeats"] and case["loads_on_one"]


@pytest.mark.exhaustive
def test_images_are_shifted_as_in_the_whole_batch():
    assert found("augmented") < TOLERANCE


def test_what_cannot_be_shared_is_refused():
    uneven, drawing, chunk = found("refusals")
    assert uneven.startswith("2 devices cannot share a batch of 9 evenly: choose another size")
    assert drawing.startswith("Drawing draws random numbers, and nothing says")
    assert chunk.startswith("2 devices cannot share the ReinforceAgent.chunk_size of 9 evenly")


def train(directory: Path, *flags: str) -> str:
    output = directory.with_suffix(".txt")
    process = start(["train", "--base_dir", str(directory), *flags], output)
    process.join()
    text = output.read_text()
    assert process.exitcode == 0, text
    return text


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run on two devices."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    train(directory, *FLAGS)
    return directory


FLAGS = ("--gin_files", "dqn/cartpole.gin", *shrunk("dqn/cartpole.gin"), "--device", "cpu:0,1")


def test_a_run_on_two_devices_resumes_exactly(tmp_path, whole):
    stopped = tmp_path / "stopped"
    train(stopped, *FLAGS, "--gin_bindings", "Runner.num_iterations = 1")
    text = train(stopped, "--gin_bindings", "Runner.num_iterations = 2")
    assert "Resuming" in text and "may not repeat" not in text
    assert fingerprint(stopped) == fingerprint(whole)
    started = json.loads((stopped / "provenance.json").read_text())["started"]
    assert started["machine"]["device"] == "cpu:0,1"


def test_its_checkpoint_is_evaluated_on_any_device(whole):
    assert len(Run.open(whole).evaluate(episodes=2).returns) == 2


def test_another_device_is_said_and_goes_on(whole):
    text = train(whole, "--gin_bindings", "Runner.num_iterations = 3", "--device", "cpu")
    assert (
        "The device was cpu:0,1 when the run last started and is cpu now: from this point on"
    ) in text


def test_actors_are_on_the_first_device(tmp_path, whole):
    """Their number changes no bit, with several devices as with one."""
    runs = [tmp_path / f"{actors}" for actors in (1, 2)]
    for actors, run in enumerate(runs, 1):
        bindings = (f"Runner.actors = {actors}", "Runner.num_envs = 2", "Runner.group_size = 1")
        train(run, *FLAGS, *(f"--gin_bindings={binding}" for binding in bindings))
    assert fingerprint(runs[0]) == fingerprint(runs[1])


def test_agents_that_learn_on_one_device_say_so(tmp_path):
    output = tmp_path / "output.txt"
    config = "classics/sarsa_cartpole.gin"
    flags = ["train", "--base_dir", str(tmp_path / "run"), "--gin_files", config]
    process = start([*flags, "--device", "cpu:0,1"], output)
    process.join()
    assert process.exitcode == 2
    assert "learns on one device, but tensorflow_devices.device is 'cpu:0,1'" in output.read_text()


def test_other_devices_need_another_process(tmp_path):
    """TensorFlow has begun in this one."""
    experiment = Experiment("dqn/cartpole.gin", ["tensorflow_devices.device = 'cpu:0,1,2'"])
    with pytest.raises(UserError, match="has already started on other devices in this process"):
        experiment.runner(tmp_path / "run")
