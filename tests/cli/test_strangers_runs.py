"""A stranger's run directory executes nothing that the user has not allowed, whatever it holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from dopamine_lite.reporting import provenance
from tests.cli.conftest import ROOT, files_below

EVIL = """\
import pathlib
pathlib.Path({marker!r}, __name__).touch()
"""
OPENING = {
    "evaluate": ["--episodes", "1", "--output", "{elsewhere}/result.json"],
    "record": ["--output", "{elsewhere}/film.gif"],
    "export": ["--output", "{elsewhere}/policy"],
    "train": [],
}
# What a config can begin with or bind, and what the refusal says of it.
ROUTES = {
    "import": ("import evil\n", "line 1, imports evil, which is"),
    "from": ("from package import evil\n", "line 1, imports package.evil, which is"),
    "alias": ("import evil as gin\n", "imports evil, which is"),
    "above": ("import evil_above\n", "imports evil_above, which"),
    "through above": ("import run.evil\n", "imports run.evil, which"),
    "id": ("", "The environment id 'evil:Evil-v0' imports evil, which is"),
    "id in a package": (
        "",
        "The environment id 'package.evil:Evil-v0' imports package.evil, which",
    ),
    "id, relative": ("", "'.evil:Evil-v0' imports '.evil', which cannot be a module's name"),
    "id, a path": ("", "imports 'package/evil', which cannot be a module's name"),
    "Python's own": ("import antigravity\n", "imports antigravity, which executes /"),
    "Python's tests": ("import test.autotest\n", "imports test.autotest, which executes /"),
    "no such": ("import nowhere_at_all\n", "imports nowhere_at_all, which is n"),
    "dynamic": (
        "from __gin__ import dynamic_registration\nimport os\nx = @os.system()\n"
        "os.system.command = 'touch {marker}/shell'\n",
        "line 1, asks for gin's dynamic registration, which would let a configuration call any",
    ),
    "loaded, not registered": (
        "import os\nRunner.console = @os.system()\n",
        "Nothing is called os.system",
    ),
    "include": (
        "include '{stranger}/other.gin'\n",
        "other.gin, so it has been changed: a run's config states every value",
    ),
    "include of a secret": (
        "include '/etc/passwd'\n",
        "includes /etc/passwd, so it has been changed: a run's config states",
    ),
}
IDS = {
    "id": "evil:Evil-v0",
    "id in a package": "package.evil:Evil-v0",
    "id, relative": ".evil:Evil-v0",
    "id, a path": "package/evil:Evil-v0",
}


@pytest.fixture
def markers(tmp_path) -> Path:
    """Whatever a stranger's code executes leaves a file here."""
    directory = tmp_path / "markers"
    directory.mkdir()
    return directory


@pytest.fixture
def stranger(tmp_path, runs, markers) -> Path:
    """A run with modules beside its config, and one in the directory that holds the run."""
    directory = tmp_path / "downloaded" / "run"
    shutil.copytree(runs["random"], directory)
    evil = EVIL.format(marker=str(markers))
    for file in ("evil.py", "package/evil.py", "../evil_above.py"):
        path = directory / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(evil)
    (directory / "package" / "__init__.py").write_text(evil)
    (directory / "other.gin").write_text("import evil\n")
    return directory


def put(stranger: Path, route: str, markers: Path) -> None:
    text, _ = ROUTES[route]
    text = text.format(stranger=stranger, marker=markers)
    config = stranger / "config.gin"
    own = config.read_text()
    if route in IDS:
        own = own.replace('"CartPole-v1"', f"'{IDS[route]}'").replace(
            "'CartPole-v1'", f"'{IDS[route]}'"
        )
    config.write_text(text + own)


@pytest.mark.parametrize("where", ["inside", "above", "elsewhere"])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_executed(cli, stranger, markers, tmp_path, monkeypatch, route, where):
    put(stranger, route, markers)
    places = {"inside": stranger, "above": stranger.parent, "elsewhere": tmp_path}
    monkeypatch.chdir(places[where])
    path = list(sys.path)
    before = files_below(stranger)
    for command, arguments in OPENING.items():
        arguments = [argument.format(elsewhere=tmp_path / "made") for argument in arguments]
        ended = cli(command, "--base_dir", os.path.relpath(stranger), *arguments)
        assert ended.status == 2 and ended.out == "", (command, ended)
        assert ROUTES[route][1] in ended.err and ended.err.count("\n") == 1, (command, ended)
    assert list(markers.iterdir()) == [] and not (tmp_path / "made").exists()
    assert sys.path == path
    assert files_below(stranger) == before


@pytest.mark.parametrize("route", ["import", "from", "id", "through above"])
def test_nothing_in_a_run_is_executed_though_allowed(cli, stranger, markers, monkeypatch, route):
    put(stranger, route, markers)
    monkeypatch.syspath_prepend(stranger)  # as PYTHONPATH would have it
    monkeypatch.chdir(stranger.parent)
    allowed = ["--import", "evil", "--import", "package", "--import", "run"]
    for command in ("evaluate", "train"):
        ended = cli(command, "--base_dir", stranger, *allowed)
        assert ended.status == 2 and ended.err.count("\n") == 1
        assert "in the run's own directory: no code there is executed" in ended.err
    assert list(markers.iterdir()) == []


def test_showing_a_run_imports_nothing(cli, stranger, markers, tmp_path, monkeypatch):
    put(stranger, "import", markers)
    monkeypatch.chdir(stranger)
    assert cli("inspect", "--base_dir", ".").status == 0
    assert cli("plot", "--base_dir", ".", "--output", tmp_path / "curves.png").status == 0
    assert list(markers.iterdir()) == []


def test_nothing_speaks_to_the_terminal(cli, stranger, tmp_path):
    """Escape sequences can hide lines, or type for the user."""
    escape = "\x1b[2K\x9b31m"
    known = json.loads((stranger / "provenance.json").read_text())
    known["agent"]["torso"] = escape
    (stranger / "provenance.json").write_text(json.dumps(known))
    (stranger / f"notes{escape}").touch()
    seen = cli("inspect", "--base_dir", stranger)
    assert seen.status == 0 and seen.out.count(r"\x1b[2K\x9b31m") == 2
    config = stranger / "config.gin"
    config.write_text(config.read_text() + f"\nRunner.schedule = '{escape}'\n")
    refused = cli("train", "--base_dir", stranger)
    assert refused.status == 2
    for shown in (seen.out, seen.err, refused.out, refused.err):
        assert not set(escape[:1] + escape[4:5]) & set(shown)


def installed(*arguments: object, **options) -> subprocess.CompletedProcess:
    """Runs the program that an installation has."""
    program = Path(sys.executable).with_name("dopamine-lite")
    return subprocess.run(
        [sys.executable, program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **options,
    )


def as_module(*arguments: object, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "dopamine_lite", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        **options,
    )


# What libraries underneath import where it is installed, or need.
LIBRARIES = (
    *("jax", "torch", "wandb", "pandas", "cv2", "tf2onnx", "IPython", "tensorflow_addons", "orbax"),
    *("gin", "numpy", "keras", "gymnasium", "tensorflow", "ale_py", "absl", "rich", "PIL", "scipy"),
)


@pytest.mark.exhaustive
@pytest.mark.parametrize("program", [installed, as_module])
@pytest.mark.parametrize("command", ["evaluate", "plot"])
def test_no_library_finds_its_imports_in_the_current_directory(
    stranger, markers, tmp_path, program, command
):
    names = {*LIBRARIES, *(sys.stdlib_module_names if program is installed else ())}
    for name in names:
        (stranger / f"{name}.py").write_text(EVIL.format(marker=str(markers)))
    metadata = stranger / "evil-1.0.dist-info"  # of a plugin, as Gymnasium looks for
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[gymnasium.envs]\nevil = evil:register\n")
    (stranger / "matplotlibrc").write_text("text.usetex: True\nbackend: module://evil\n")
    arguments = ["--episodes", 1] if command == "evaluate" else ["--output", tmp_path / "c.svg"]
    ended = program(command, "--base_dir", ".", *arguments, cwd=stranger)
    assert ended.returncode == 0, ended.stderr
    assert list(markers.iterdir()) == []


OWN = """\
import gymnasium
gymnasium.register("OwnCartPole-v0", "gymnasium.envs.classic_control:CartPoleEnv")
"""


def test_a_users_own_module(cli, gin_files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = tmp_path / "own_registers.py"
    module.write_text(OWN)
    experiment = ["--base_dir", "runs/x", "--gin_files", gin_files["random"], "--gin_bindings"]
    bound = 'create_environment.id = "own_registers:OwnCartPole-v0"'

    def forgotten() -> None:
        del sys.modules["own_registers"], gymnasium.registry["OwnCartPole-v0"]

    trained = cli("train", *experiment, bound)
    assert trained.status == 0
    assert "  dopamine-lite evaluate --base_dir runs/x --import own_registers\n" in trained.out
    started = provenance.read(Path("runs/x"))["started"]
    digest = started["modules"]["own_registers"]
    assert started["imported"] == {"own_registers": digest}
    forgotten()
    assert cli("train", *experiment, bound).status == 0  # the same command resumes it
    forgotten()
    evaluate = ["evaluate", "--base_dir", "runs/x", "--episodes", 1]
    refused = cli(*evaluate)
    assert refused.status == 2
    assert f"imports own_registers, which executes {module}: if you trust it" in refused.err
    allowed = cli(*evaluate, "--import", "own_registers")
    said = f"dopamine-lite: Importing own_registers from {module}"
    assert allowed.status == 0 and f"{said}.\n" in allowed.err
    forgotten()
    module.write_text(f"{OWN}\n")
    changed = cli("train", "--base_dir", "runs/x", "--import", "own_registers")
    assert changed.status == 0 and f"{said}; its source was {digest} when the run" in changed.err
    forgotten()
