"""A GPU learns what the CPU learns, and repeats itself bit for bit: `make test-gpu`.

Products are those of float32 here (see `conftest`). By default, NVIDIA's cards since 2020 round their
factors to TF32, which has ten bits, so results are then equal in three digits only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.fingerprints import fingerprint
from tests.integration.shrink import shrunk
from tests.learning.agents import AGENTS

GPUS = len(tf.config.list_physical_devices("GPU"))
ROOT = Path(__file__).parents[2]
NONE = "TensorFlow sees no GPU on this machine"
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not GPUS, reason=NONE)]
# Large networks take XLA long to compile on a GPU, in each of a test's four processes.
CONFIGS = (
    *("ppo/cartpole.gin", "iqn/cartpole.gin", "dqn/minatar.gin", "rainbow/minatar.gin"),
    "dqn/atari.gin",
)


def run(*arguments: object) -> None:
    command = [sys.executable, "-m", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", [*AGENTS, "sac"])
def test_losses_and_updates_are_those_of_the_cpu(tmp_path, name):
    """From equal parameters, by equal steps. The tolerance is for sums in another order."""
    found = []
    for device in ("cpu", "gpu"):
        file = tmp_path / f"{device}.npz"
        run("tests.gpu.few_updates", device, name, file)
        found.append(dict(np.load(file)))
    on_cpu, on_gpu = found
    assert on_cpu.keys() == on_gpu.keys()
    np.testing.assert_allclose(on_gpu.pop("parameters"), on_cpu.pop("parameters"), atol=1e-5)
    for metric, value in on_cpu.items():
        np.testing.assert_allclose(on_gpu[metric], value, rtol=1e-4, atol=1e-6, err_msg=metric)


def flags(directory: Path, config: str) -> list[str]:
    """Of a short run with learning in both segments."""
    named = ["train", "--base_dir", str(directory), "--gin_files", config, "--device", "gpu"]
    return [*named, *shrunk(config)]


@pytest.mark.parametrize("config", CONFIGS)
def test_a_seed_repeats_and_a_killed_run_resumes_exactly(tmp_path, config):
    whole, again, killed = (tmp_path / name for name in ("whole", "again", "killed"))
    for directory in (whole, again):
        run("dopamine_lite", *flags(directory, config))
    assert fingerprint(again) == fingerprint(whole)
    command = [sys.executable, "-m", "dopamine_lite", *flags(killed, config)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(killed.glob("checkpoints/checkpoint-*")):
        time.sleep(0.05)
    process.kill()
    process.wait()
    run("dopamine_lite", "train", "--base_dir", killed)
    assert fingerprint(killed) == fingerprint(whole)


def test_provenance_names_the_device(tmp_path):
    run("dopamine_lite", *flags(tmp_path / "run", "dqn/cartpole.gin"))
    machine = json.loads((tmp_path / "run" / "provenance.json").read_text())["started"]["machine"]
    assert machine["device"] == "gpu" and len(machine["gpus"]) == 1


@pytest.mark.skipif(GPUS < 2, reason="TensorFlow sees fewer than two GPUs on this machine")
@pytest.mark.parametrize("name", [*AGENTS, "sac"])
def test_two_gpus_learn_what_one_learns(name):
    command = [sys.executable, "-m", "tests.learning.two_devices", "gpu:0,1", name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    case = json.loads(done.stdout)
    assert case["difference"] < 1e-4
    assert case["copies"] == ["GPU:0", "GPU:1"]
    assert case["copies_equal"] and case["repeats"] and case["loads_on_one"]
