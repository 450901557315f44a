"""What users get wrong: each a sentence, exit status 2, no traceback, and nothing written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dopamine_lite import configuration
from dopamine_lite.runner.runner import Runner
from tests.cli.conftest import files_below, finish, start
from tests.cli.inputs import BINDINGS, RIGHT, TABLE


@pytest.fixture
def places(tmp_path, runs, gin_files):
    """The names in the table and what they stand for."""
    (tmp_path / "syntax.gin").write_text("Runner.seed = 1\nRunner.seed == 2\n")
    (tmp_path / "module.gin").write_text("import my_project.agents\n")
    (tmp_path / "empty.gin").write_text("")
    (tmp_path / "itself.gin").write_text(f"include '{tmp_path}/itself.gin'\n")
    (tmp_path / "one.gin").write_text(f"include '{tmp_path}/other.gin'\n")
    (tmp_path / "other.gin").write_text(f"Runner.seed = 1\ninclude '{tmp_path}/one.gin'\n")
    (tmp_path / "circle.gin").write_text("left = %right\nright = [%left]\n")
    (tmp_path / "bytes.gin").write_bytes(bytes(range(256)))
    (tmp_path / "utf16.gin").write_text("Runner.seed = 1\n", encoding="utf-16")
    (tmp_path / "null.gin").write_text("Runner.seed = \0\n")
    (tmp_path / "open.gin").write_text("x = [1,\n")
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


def _refused(arguments, sentence, places, cli):
    before = files_below(places["tmp"])
    refused = cli(*arguments)
    assert refused.status == 2
    assert refused.err.startswith("dopamine-lite: ")
    assert sentence in refused.err
    assert refused.err.count("\n") == 1 and "Traceback" not in refused.err
    assert len(refused.err) < 1000
    assert files_below(places["tmp"]) == before


@pytest.mark.parametrize("name", TABLE)
def test_bad_input(name, places, cli):
    arguments, sentence = (_fill(text, places) for text in TABLE[name])
    if " /proc/" in arguments and not Path("/proc").is_dir():
        pytest.skip("needs /proc, where nobody can make a file")
    _refused(arguments.split(" "), sentence, places, cli)


def _with_binding(config, binding, places):
    file = places.get(f"{config}.gin", config)
    return ["train", "--base_dir", places["tmp"] / "run", "--gin_files", file,
            "--gin_bindings", binding]  # fmt: skip


@pytest.mark.parametrize(("config", "binding", "sentence"), BINDINGS)
def test_bad_binding(config, binding, sentence, places, cli):
    _refused(_with_binding(config, binding, places), sentence, places, cli)


@pytest.mark.parametrize(("config", "binding"), RIGHT)
def test_right_binding(config, binding, places, tmp_path):
    configuration.load([places[f"{config}.gin"]], [binding])
    configuration.construct(Runner, tmp_path / "run")._configuration.check()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["misspelt parameter", "wrong environment", "home of nobody",
    "base_dir below a device", "gin file includes itself", "macros in a circle", "base_dir twice",
    "film without a speed", "gin file is no text"])  # fmt: skip
def test_bad_input_as_a_process(name, places):
    arguments, sentence = (_fill(text, places) for text in TABLE[name])
    refused = finish(start(*arguments.split(" ")))
    assert refused.status == 2
    assert sentence in refused.err
    assert refused.err.startswith("dopamine-lite: ") and refused.err.count("\n") == 1
    assert not (places["tmp"] / "run").exists()
