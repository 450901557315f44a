"""Runs follow the schedules of their learning rates, stopped or not, longer or not."""

from __future__ import annotations

import numpy as np
import pytest

GIN = """\
include "{config}"

Runner.num_iterations = 2
Runner.training_steps = 256
Runner.checkpoint_every_steps = 64
Runner.evaluation_episodes = 1
MLP.hidden_units = (8,)
"""
OF_DQN = """\
DQNAgent.min_replay_history = 50
DQNAgent.update_period = 32
DQNAgent.updates_per_period = 4
CircularReplay.replay_capacity = 500
Adam.decay_updates = None
Adam.schedule = @CosineSchedule
CosineSchedule.updates = 30
CosineSchedule.end_factor = 0.1
CosineSchedule.warmup_updates = 3
"""
OF_PPO = """\
Runner.num_envs = 2
PPOAgent.rollout_length = 16
PPOAgent.num_epochs = 2
Adam.schedule = @StepSchedule
StepSchedule.updates = 4
StepSchedule.factor = 0.5
"""


@pytest.mark.parametrize(
    ("config", "further"), [("dqn/cartpole.gin", OF_DQN), ("ppo/cartpole.gin", OF_PPO)]
)
def test_a_run_that_goes_on_follows_the_schedule_of_the_run_never_stopped(
    tmp_path,
    cli,
    config,
    further,
):
    """Nor does a larger number of iterations stretch it: one iteration and then two are two at once."""
    gin_file = tmp_path / "experiment.gin"
    gin_file.write_text(GIN.format(config=config) + further)

    def train(name: str, iterations: int) -> dict[str, np.ndarray]:
        run = tmp_path / name
        longer = f"Runner.num_iterations = {iterations}"
        done = cli(*("train", "--base_dir", run, "--gin_files", gin_file, "--gin_bindings", longer))
        assert done.status == 0, done.err
        newest = max(run.glob("checkpoints/checkpoint-*"))
        with np.load(newest / "state.npz") as arrays:
            return dict(arrays)

    whole = train("whole", 2)
    after_one = train("halves", 1)
    halves = train("halves", 2)
    assert whole.keys() == halves.keys() == after_one.keys()
    for name, values in whole.items():
        np.testing.assert_array_equal(values, halves[name])
    assert any(not np.array_equal(after_one[name], whole[name]) for name in whole)
    kept = (tmp_path / "whole" / "config.gin").read_text()
    for line in further.splitlines():
        assert line in kept


@pytest.mark.parametrize(
    ("binding", "sentence"),
    [
        ("Adam.schedule=@CosineSchedule", "CosineSchedule.updates"),
        ("Adam.schedule=@MLP", "Adam.schedule"),
        ("Adam.schedule='cosine'", "Adam.schedule"),
        ("Adam.schedule=@Cosine", "Cosine"),
    ],
)
def test_a_schedule_that_is_bound_wrongly_has_its_sentence(tmp_path, cli, binding, sentence):
    refused = cli(
        *("train", "--base_dir", tmp_path / "run", "--gin_files", "ppo/cartpole.gin"),
        *("--gin_bindings", binding),
    )
    assert refused.status == 2 and sentence in refused.err
    assert "Traceback" not in refused.err
    assert not (tmp_path / "run").exists()
