"""What users get wrong: each a sentence, exit status 2, no traceback, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import files_below, finish, start

# Arguments, in which {tmp}, {random} and {dqn} are directories and {random.gin}, {dqn.gin} files,
# and a fragment of the sentence.
TRAIN = "train --base_dir {tmp}/run --gin_files "
BINDING = " --gin_bindings "
TABLE = {
    "no experiment": ("train --base_dir {tmp}/run", "There is no run in {tmp}/run to resume"),
    "no base_dir": ("train --gin_files {random.gin}", "--base_dir is missing"),
    "missing gin file": (TRAIN + "dqn/cartpool.gin", "(did you mean dqn/cartpole.gin?)"),
    "gin syntax": (TRAIN + "{tmp}/syntax.gin", "in {tmp}/syntax.gin, line 2"),
    "missing module": (TRAIN + "{tmp}/module.gin", "There is no module my_project to import"),
    "misspelt parameter": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.gama=0.9",
        "DQNAgent has no parameter gama that can be bound in the binding 'DQNAgent.gama=0.9' "
        "(did you mean gamma?)",
    ),
    "unknown configurable": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgnet.gamma=0.9",
        "(did you mean DQNAgent?)",
    ),
    "unused binding": (
        TRAIN + "{dqn.gin}" + BINDING + "NatureCNN.seeds=3",
        "Nothing in this experiment uses NatureCNN.seeds",
    ),
    "unused macro": (
        TRAIN + "{random.gin}" + BINDING + "gamma=0.9",
        "Nothing in this experiment uses gamma",
    ),
    "tuple without a comma": (
        TRAIN + "{dqn.gin}" + BINDING + "MLP.hidden_units=8",
        "MLP cannot be built with what is bound to it",
    ),
    "text for a number": (
        TRAIN + "{dqn.gin}" + BINDING + "Adam.learning_rate='small'",
        "Adam.learning_rate is 'small': give a number, 0 or more.",
    ),
    "replay too small": (
        TRAIN + "{dqn.gin}" + BINDING + "CircularReplay.replay_capacity=5",
        "CircularReplay.replay_capacity is 5, which leaves each of 1 streams 5 frames",
    ),
    "no steps before the first update": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.min_replay_history=0",
        "DQNAgent.min_replay_history is 0: give a whole number, 5 or more.",
    ),
    "updates never": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.update_period=0",
        "DQNAgent.update_period is 0",
    ),
    "no updates": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.updates_per_period=0",
        "DQNAgent.updates_per_period is 0",
    ),
    "target never": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.target_update_period=0",
        "DQNAgent.target_update_period is 0",
    ),
    "no steps in a segment": (
        TRAIN + "{random.gin}" + BINDING + "Runner.checkpoint_every_steps=0",
        "Runner.checkpoint_every_steps is 0",
    ),
    "base_dir too long": (
        "train --base_dir {tmp}/" + 300 * "x" + " --gin_files {random.gin}",
        "give a shorter one",
    ),
    "gin file too long": (TRAIN + 300 * "x", "give a shorter one"),
    "wrong environment": (
        TRAIN + "{random.gin}" + BINDING + "create_environment.id='CartPool-v1'",
        "CartPole-v1",
    ),
    "wrong game": (TRAIN + "random/atari.gin" + BINDING + "AtariEnvironment.game='Pogn'", "Pong"),
    "continuous actions for DQN": (
        TRAIN + "{dqn.gin}" + BINDING + "create_environment.id='Pendulum-v1'",
        "DQNAgent needs a discrete action space",
    ),
    "no streams": (TRAIN + "{random.gin}" + BINDING + "Runner.num_envs=0", "Runner.num_envs is 0"),
    "negative steps": (
        TRAIN + "{random.gin}" + BINDING + "Runner.training_steps=-1",
        "Runner.training_steps is -1",
    ),
    "steps that are no number": (
        TRAIN + "{random.gin}" + BINDING + "Runner.training_steps='many'",
        "Runner.training_steps is 'many'",
    ),
    "negative seed": (TRAIN + "{random.gin}" + BINDING + "Runner.seed=-1", "Runner.seed is -1"),
    "replay beyond memory": (
        TRAIN + "{dqn.gin}" + BINDING + "CircularReplay.replay_capacity=1000000000000",
        "of memory",
    ),
    "priorities beyond memory": (
        TRAIN
        + "rainbow/cartpole.gin"
        + BINDING
        + "PrioritizedReplay.replay_capacity=1000000000000",
        "of memory",
    ),
    "another agent's head": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.head=@QuantileHead",
        "DQNAgent.head gives a QuantileHead, but what this agent learns comes out of a QHead",
    ),
    "epsilon above 1": (
        TRAIN + "{dqn.gin}" + BINDING + "EpsilonGreedy.epsilon_train=2",
        "EpsilonGreedy.epsilon_train is 2: give a number from 0 to 1.",
    ),
    "unknown schedule": (
        TRAIN + "{random.gin}" + BINDING + "Runner.schedule='train_only'",
        "Runner.schedule is 'train_only'",
    ),
    "evaluation told twice": (
        TRAIN + "{random.gin}" + BINDING + "Runner.evaluation_steps=10",
        "one of Runner.evaluation_steps and Runner.evaluation_episodes",
    ),
    "agent not referred to": (
        TRAIN + "{random.gin}" + BINDING + "Runner.agent='RandomAgent'",
        "Runner.agent",
    ),
    "agent called": (
        TRAIN + "{random.gin}" + BINDING + "Runner.agent=@RandomAgent()",
        "write @RandomAgent, without the brackets",
    ),
    "augmentation called": (
        TRAIN + "rainbow/atari_100k_drq.gin" + BINDING + "RainbowAgent.augmentation=@RandomShift()",
        "write @RandomShift, without the brackets",
    ),
    "munchausen called": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.munchausen=@Munchausen()",
        "write @Munchausen, without the brackets",
    ),
    "frames wanted": (
        TRAIN + "{dqn.gin}" + BINDING + "DQNAgent.torso=@NatureCNN",
        "NatureCNN reads stacks of frames [stack, height, width], but the observations have the shape",
    ),
    "iterations without number": (
        TRAIN + "{dqn.gin}" + BINDING + "Runner.num_iterations=None",
        "Runner.num_iterations is None: give a whole number, 1 or more.",
    ),
    "log without steps": (
        TRAIN + "{dqn.gin}" + BINDING + "Runner.log_every_steps=None",
        "Runner.log_every_steps is None: give a whole number, 1 or more.",
    ),
    "switching too often": (
        TRAIN + "classics/switching_asterix.gin" + BINDING + "SwitchingAgent.switch_prob=2",
        "SwitchingAgent.switch_prob is 2: give a number from 0 to 1.",
    ),
    "no agent": (TRAIN + "{tmp}/empty.gin", "Runner is not told its agent, environment"),
    "base_dir is a file": (
        "train --base_dir {tmp}/empty.gin --gin_files {random.gin}",
        "{tmp}/empty.gin is a file",
    ),
    "base_dir below a file": (
        "train --base_dir {tmp}/empty.gin/run --gin_files {random.gin}",
        "{tmp}/empty.gin is a file",
    ),
    "base_dir not writable": (
        "train --base_dir /proc/run --gin_files {random.gin}",
        "Cannot write to /proc",
    ),
    "base_dir with other things": (
        "train --base_dir {tmp} --gin_files {random.gin}",
        "{tmp} holds other things",
    ),
    "another experiment": (
        "train --base_dir {tmp}/random --gin_files {random.gin} --seed 5",
        "Runner.seed: this run 0, now 5",
    ),
    "checkpoint of another experiment": (
        "train --base_dir {tmp}/mixed",
        "checkpoint",
    ),
    "checkpoints that are gone": (
        "train --base_dir {tmp}/gone",
        "{tmp}/gone has logs of a run but none of its checkpoints",
    ),
    "evaluate without a run": ("evaluate --base_dir {tmp}/nothing", "no run in {tmp}/nothing"),
    "inspect without a run": ("inspect --base_dir {tmp}", "There is no run in {tmp}"),
    "unknown checkpoint": (
        "evaluate --base_dir {tmp}/random --checkpoint 12345",
        "There is no checkpoint 12345",
    ),
    "checkpoint that is no number": (
        "evaluate --base_dir {tmp}/random --checkpoint last",
        "--checkpoint=last",
    ),
    "no episodes": ("evaluate --base_dir {tmp}/random --episodes 0", "--episodes=0"),
    "output is a directory": (
        "evaluate --base_dir {tmp}/random --output {tmp}",
        "{tmp} is a directory",
    ),
    "output not writable": (
        "evaluate --base_dir {tmp}/random --output /proc/result.json",
        "Cannot write to /proc",
    ),
    "film in another format": (
        "record --base_dir {tmp}/random --output {tmp}/film.avi",
        "film.avi does not end in .mp4 or .gif",
    ),
    "film without a name": ("record --base_dir {tmp}/random", "--output is missing"),
    "no pictures a second": (
        "record --base_dir {tmp}/random --output {tmp}/film.gif --fps 0",
        "--fps=0",
    ),
}


@pytest.fixture
def places(tmp_path, runs, gin_files):
    """The names in the table and what they stand for."""
    (tmp_path / "syntax.gin").write_text("Runner.seed = 1\nRunner.seed == 2\n")
    (tmp_path / "module.gin").write_text("import my_project.agents\n")
    (tmp_path / "empty.gin").write_text("")
    shutil.copytree(runs["random"], tmp_path / "random")
    shutil.copytree(runs["random"], tmp_path / "mixed")
    shutil.copytree(runs["random"], tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone" / "checkpoints")
    shutil.rmtree(tmp_path / "mixed" / "checkpoints")
    shutil.copytree(runs["dqn"] / "checkpoints", tmp_path / "mixed" / "checkpoints")
    return {
        "tmp": tmp_path,
        "random.gin": gin_files["random"],
        "dqn.gin": gin_files["dqn"],
    }


def _fill(text, places):
    for name, path in places.items():
        text = text.replace(f"{{{name}}}", str(path))
    return text


@pytest.mark.parametrize("name", TABLE)
def test_bad_input(name, places, cli):
    arguments, sentence = (_fill(text, places) for text in TABLE[name])
    if " /proc/" in arguments and not Path("/proc").is_dir():
        pytest.skip("needs /proc, where nobody can make a file")
    before = files_below(places["tmp"])
    refused = cli(*arguments.split(" "))
    assert refused.status == 2
    assert refused.err.startswith("dopamine-lite: ")
    assert sentence in refused.err
    assert refused.err.count("\n") == 1 and "Traceback" not in refused.err
    assert files_below(places["tmp"]) == before


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["misspelt parameter", "wrong environment"])
def test_bad_input_as_a_process(name, places):
    arguments, sentence = (_fill(text, places) for text in TABLE[name])
    refused = finish(start(*arguments.split(" ")))
    assert refused.status == 2
    assert sentence in refused.err
    assert refused.err.startswith("dopamine-lite: ") and refused.err.count("\n") == 1
    assert not (places["tmp"] / "run").exists()
