"""The reference: generated pages have everything, and the others have every name that is logged."""

from __future__ import annotations

import functools
import importlib
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path

import pytest
from absl import flags
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from dopamine_lite.cli.commands import COMMANDS, command_module, options
from dopamine_lite.cli.main import main
from dopamine_lite.configuration import all_configs, catalogue, description
from dopamine_lite.reporting.log_reader import read_episodes, read_iterations
from dopamine_lite.reporting.tags import description as description_of_tag
from tests.core import core
from tests.integration.shrink import shrunk

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "tools" / "site"))

from reference_pages import COMMANDS as COMMANDS_PAGE
from reference_pages import CONFIGS, GENERATED


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return importlib.import_module("reference").texts()


def test_every_page_is_made(pages):
    assert set(pages) == set(GENERATED)
    assert all(text.startswith("# ") and len(text) > 1_000 for text in pages.values())


def test_every_command_is_there_with_its_flags(pages):
    for name in COMMANDS:
        section = pages[COMMANDS_PAGE].partition(f"\n## {name} ")[2].partition("\n## ")[0]
        known = flags.FlagValues()
        command_module(name).define_flags(known)
        assert all(f"[`{option.name}`]" in section for option in options(known))
        assert command_module(name).EXAMPLE in section


def test_every_part_is_there_with_its_parameters(pages):
    settings = "".join(text for name, text in pages.items() if name.startswith("settings/"))
    for part in catalogue.parts():
        assert f"\n## {part.name} {{ #{part.name} }}\n" in settings
        for parameter in description.described(part).parameters:
            assert f"{{ #{part.name}.{parameter.name} }}" in settings


def test_every_config_is_there(pages):
    for path in all_configs():
        assert f"\n### {path.parent.name}/{path.name} {{" in pages[CONFIGS]


def test_the_sentences_of_help_are_whole():
    for name in COMMANDS:
        known = flags.FlagValues()
        command_module(name).define_flags(known)
        for option in options(known):
            assert option.meaning[0].isupper() and option.meaning.endswith("."), (name, option)
            assert not option.default.endswith("."), (name, option)


@pytest.mark.exhaustive
def test_every_example_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in COMMANDS:
        program, *arguments = shlex.split(command_module(name).EXAMPLE)
        if name in ("train", "sweep"):
            config = arguments[arguments.index("--gin_files") + 1]
            of_all = [flag for flag in shrunk(config) if name == "train" or "=Runner." in flag]
            arguments += of_all
        assert program == "dopamine-lite" and main(arguments) == 0, name


BASE = ("Every run: episodes", "Every run: time", "Every run: at a glance")
VALUES = ("DQN, C51, QR-DQN, IQN and Rainbow", "Exploration")
RUNS: dict[str, tuple[str, list[str], tuple[str, ...]]] = {  # config, bindings, sections
    "dqn": ("dqn/cartpole.gin", [], VALUES),
    "boltzmann": ("classics/dqn_boltzmann_cartpole.gin", [], VALUES),
    "c51": ("c51/cartpole.gin", [], VALUES),
    "qr_dqn": ("qr_dqn/cartpole.gin", ["CircularReplay.compress = True"], (*VALUES, "Replay")),
    "iqn": ("iqn/cartpole.gin", [], VALUES),
    "rainbow": ("rainbow/cartpole.gin", [], (*VALUES, "Replay")),
    "actors": (
        "dqn/cartpole.gin",
        ["Runner.actors = 1", "Runner.actor_backend = 'threads'"],
        VALUES,
    ),
    "pqn": ("pqn/cartpole.gin", [], ("PQN", "Exploration")),
    "ppo": ("ppo/cartpole.gin", [], ("PPO",)),
    "ppo_kl": ("ppo/cartpole.gin", ["PPOAgent.surrogate = 'kl'"], ("PPO",)),
    "reinforce": ("classics/reinforce_lunar_lander.gin", [], ("REINFORCE",)),
    "sac": ("sac/pendulum.gin", [], ("SAC",)),
    "q_learning": (
        "classics/q_learning_cliff.gin",
        [
            "Runner.info_metrics = ['prob']",
            "QLearningAgent.learning_rate_decay_period = 1000",
        ],
        ("Q-learning, Sarsa and double Q-learning",),
    ),
    "switching": ("classics/switching_asterix.gin", [], ()),
}


@functools.cache
def run(name: str) -> Path:
    """The directory of a short run."""
    config, bindings, _ = RUNS[name]
    directory = Path(tempfile.mkdtemp()) / name
    arguments = [*shrunk(config), *(f"--gin_bindings={binding}" for binding in bindings)]
    assert main(["train", "--base_dir", str(directory), "--gin_files", config, *arguments]) == 0
    return directory


def tags(directory: Path) -> set[str]:
    """The names of all that TensorBoard shows, histograms as well."""
    return {
        value.tag
        for path in (directory / "logs").glob("events.*")
        for data in RawEventFileLoader(str(path)).Load()
        for value in Event.FromString(data).summary.value
        if not value.tag.startswith("_hparams_")
    }


def logged(directory: Path) -> set[str]:
    """The names as the page has them: without the phase, and without what a user has called them."""
    phases = ("train", "eval", "time")
    lines = read_iterations(directory)
    names = {name for line in lines for phase in phases for name in line.get(phase, {})}
    names |= {re.sub("^(train|eval)/", "", tag) for tag in tags(directory)}
    return {"info_NAME" if name.startswith("info_") else name for name in names}


def explained(*sections: str) -> set[str]:
    """The names in the first columns of the tables in these sections, or in all if none is named."""
    text = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    found = set()
    for part in re.split(r"^##+ ", text, flags=re.M)[1:]:
        title = part.partition("\n")[0]
        if not sections or title in sections:
            for cell in re.findall(r"^\| (`.*?) \|", part, flags=re.M):
                found |= set(re.findall("`([^`]+)`", cell))
    return found - {"logs/iterations.jsonl", "logs/episodes.jsonl"}


@pytest.mark.parametrize("name", core(RUNS, "rainbow", "ppo", "sac", "q_learning"))
def test_every_metric_is_explained(name):
    directory = run(name)
    assert logged(directory) <= explained(*BASE, *RUNS[name][2])
    for tag in tags(directory):
        assert description_of_tag(tag), f"TensorBoard's curve {tag} has no description"


@pytest.mark.exhaustive
def test_every_metric_that_is_explained_is_logged():
    assert explained() == {name for each in RUNS for name in logged(run(each))}


def test_every_field_of_a_run_directory_is_explained():
    directory = run("q_learning")
    assert main(["evaluate", "--base_dir", str(directory), "--episodes", "3"]) == 0
    text = (REFERENCE / "run_directory.md").read_text(encoding="utf-8")
    (evaluation,) = (directory / "evaluations").iterdir()
    known = json.loads((directory / "provenance.json").read_text())
    result = json.loads(evaluation.read_text())
    start = known["started"]
    (*_, checkpoint) = sorted((directory / "checkpoints").glob("checkpoint-*"))
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    fields = [
        *(known.keys() | start.keys() | start["threads"].keys() | start["machine"].keys()),
        *(result.keys() | result["summary"].keys() | manifest.keys()),
        *read_iterations(directory)[0],
        *(name for name in read_episodes(directory)[0] if not name.startswith("info_")),
        *(path.name for path in checkpoint.iterdir()),
    ]
    for field in fields:
        assert f"`{field}`" in text, field
