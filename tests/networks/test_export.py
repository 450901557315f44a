"""Exported policies: they act as the agent does, as SavedModels and as what these convert to."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.agents.agent import Agent
from dopamine_lite.agents.dqn_agent import DQNAgent
from dopamine_lite.agents.iqn_agent import IQNAgent
from dopamine_lite.agents.ppo_agent import PPOAgent
from dopamine_lite.agents.rainbow_agent import RainbowAgent
from dopamine_lite.agents.sac_agent import SACAgent
from dopamine_lite.common.seeding import Seeds
from dopamine_lite.environments.environment import EnvironmentSpec
from dopamine_lite.networks.torsos import MLP, DictTorso, SmallCNN
from dopamine_lite.replay.circular_replay import CircularReplay
from dopamine_lite.spaces.packed_space import PackedSpace
from tests.core import core

spaces = gymnasium.spaces
ROOT = Path(__file__).parents[2]
SMALL = functools.partial(MLP, hidden_units=(8,))
REPLAY = functools.partial(CircularReplay, replay_capacity=100)
PPO = functools.partial(PPOAgent, torso=SMALL, rollout_length=4, num_minibatches=2)
SAC = functools.partial(SACAgent, torso=SMALL, replay=REPLAY)
LINE = spaces.Box(-np.inf, np.inf, (4,), np.float32)
COLORS = spaces.Box(0, 255, (7, 6, 3), np.uint8)
ENTRIES = PackedSpace.of(
    spaces.Dict({"picture": COLORS, "speed": LINE, "gear": spaces.Discrete(3)}), "Truck-v0"
)
EACH = functools.partial(DictTorso, torsos={"picture": SmallCNN, "speed": SMALL, "gear": SMALL})
FROM_MINUS_1 = spaces.Discrete(3, start=-1)

# An agent, its observations and its actions.
POLICIES: dict[str, tuple[Any, gymnasium.Space, gymnasium.Space]] = {
    "values": (functools.partial(DQNAgent, torso=SMALL, replay=REPLAY), LINE, FROM_MINUS_1),
    "pictures": (functools.partial(DQNAgent, torso=SmallCNN, replay=REPLAY), COLORS, FROM_MINUS_1),
    "entries": (functools.partial(DQNAgent, torso=EACH, replay=REPLAY), ENTRIES, FROM_MINUS_1),
    "distribution": (functools.partial(RainbowAgent, torso=SMALL), LINE, FROM_MINUS_1),
    "one action": (PPO, LINE, FROM_MINUS_1),
    "names": (PPO, spaces.MultiDiscrete([3, 2]), FROM_MINUS_1),
    "several actions": (PPO, LINE, spaces.MultiDiscrete([2, 3])),
    "real numbers": (PPO, LINE, spaces.Box(-0.1, 0.1, (2,), np.float32)),
    "doubles": (PPO, LINE, spaces.Box(-0.1, 0.1, (2,), np.float64)),
    "squashed": (SAC, LINE, spaces.Box(-2, 3, (2,), np.float32)),
    "whole numbers": (PPO, LINE, spaces.Box(-2, 2, (2,), np.int32)),
}


def build(name: str) -> Agent:
    agent, observations, actions = POLICIES[name]
    built = agent(EnvironmentSpec("Truck-v0", observations, actions, num_envs=1), Seeds(0))
    inference = built.actor.inference
    generator = np.random.default_rng(1)
    for variable in inference.network.variables:
        size = 1.0 if len(variable.shape) > 1 else 0.1  # biases of more would decide every action
        variable.assign(generator.normal(size=variable.shape) * size)
    inference.load(inference.parameters())
    return built


def observations_and_inputs(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    space = POLICIES[name][1]
    space.seed(0)
    drawn = np.array([space.sample() for _ in range(30)])
    return drawn, space.unpack(drawn) if space is ENTRIES else {"observations": drawn}


@pytest.mark.parametrize("name", core(POLICIES, "pictures", "names", "real numbers"))
def test_a_savedmodel_and_tensorflow_lite_take_the_agents_actions(name, tmp_path):
    """Often wrong: sizes of 64 bits that do not convert, whole numbers as fractions."""
    agent = build(name)
    observations, inputs = observations_and_inputs(name)
    expected = agent.act(observations, evaluate=True)
    assert len(np.unique(expected, axis=0)) > 1
    agent.export(tmp_path / "policy")
    saved = tf.saved_model.load(tmp_path / "policy").signatures["serving_default"]
    converted = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "policy")).convert()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package of its own for this interpreter
        lite = tf.lite.Interpreter(model_content=converted).get_signature_runner("serving_default")
    for outputs in (
        saved(**{key: tf.constant(own) for key, own in inputs.items()}),
        lite(**inputs),
    ):
        actions = np.asarray(outputs["actions"])
        np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-6)
        assert actions.dtype == expected.dtype == np.asarray(POLICIES[name][2].sample()).dtype


def test_quantiles_that_are_drawn_do_not_convert(tmp_path):
    """What docs/how_to/deploy.md says; should this fail, it can say more."""
    agent = functools.partial(IQNAgent, torso=SMALL, replay=REPLAY)
    spec = EnvironmentSpec("Truck-v0", LINE, FROM_MINUS_1, num_envs=1)
    agent(spec, Seeds(0)).export(tmp_path / "policy")
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "policy"))
    with pytest.raises(Exception, match="StatelessRandomUniform"):
        converter.convert()
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS,
        tf.lite.OpsSet.SELECT_TF_OPS,
    ]
    assert converter.convert()


@pytest.mark.oracle
def test_the_pages_program_for_onnx_plays_an_episode(tmp_path):
    """Of docs/how_to/deploy.md; the tests of the documents run its other programs, but need no ONNX."""
    pytest.importorskip("tf2onnx")
    pytest.importorskip("onnxruntime")
    page = (ROOT / "docs" / "how_to" / "deploy.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    (play,) = re.findall(r"```python\n(# play\.py\n.*?)```", page, re.DOTALL)
    (tmp_path / "play.py").write_text(play)
    spec = EnvironmentSpec("CartPole-v1", LINE, spaces.Discrete(2), num_envs=1)
    PPO(spec, Seeds(0)).export(tmp_path / "policy")
    convert(tmp_path / "policy", tmp_path / "policy.onnx")
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0


@pytest.mark.oracle
@pytest.mark.parametrize("name", POLICIES)
def test_onnx_takes_the_agents_actions(name, tmp_path):
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    agent = build(name)
    observations, inputs = observations_and_inputs(name)
    agent.export(tmp_path / "policy")
    convert(tmp_path / "policy", tmp_path / "policy.onnx")
    session = runtime.InferenceSession(str(tmp_path / "policy.onnx"))
    (actions,) = session.run(["actions"], inputs)
    expected = agent.act(observations, evaluate=True)
    np.testing.assert_allclose(actions, expected, rtol=1e-4, atol=1e-6)
    assert actions.dtype == expected.dtype


def convert(savedmodel: Path, output: Path) -> None:
    """What `python -m tf2onnx.convert` does, in this process."""
    from tf2onnx import convert

    arguments = ["--opset", "18", "--saved-model", str(savedmodel), "--output", str(output)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["tf2onnx.convert", *arguments])
        convert.main()
