"""The dispatcher: help without TensorFlow, suggestions, exit statuses, signals and pipes."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dopamine_lite.cli.commands import COMMANDS
from tests.cli.conftest import ROOT, Outcome, finish, start

HEAVY = {"tensorflow", "keras", "numpy", "gymnasium", "gin", "rich", "imageio"}


def _modules_imported_by(*arguments: str) -> set[str]:
    """The modules in a process that ran the command line with `arguments`."""
    code = (
        "import json, sys; from dopamine_lite.cli.main import main;"
        f"assert main({list(arguments)}) == 0; print(); print(json.dumps(list(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("train", "--help"), ("check-environment", "--help"), ("--version",)],
)
def test_help_imports_nothing_heavy(arguments):
    assert not HEAVY & _modules_imported_by(*arguments)


def test_list_imports_no_tensorflow():
    assert not {"tensorflow", "keras"} & _modules_imported_by("list")


def test_overview_names_every_command(cli):
    shown = cli("--help")
    assert shown.status == 0 and shown.err == ""
    for command in COMMANDS:
        assert f"\n  {command} " in shown.out
        help_of_command = cli(command, "--help")
        assert help_of_command.status == 0
        assert help_of_command.out.startswith(f"usage: dopamine-lite {command} ")
        assert all(len(line) <= 100 for line in help_of_command.out.splitlines())


def test_help_names_the_arguments_without_a_flag(cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    for command, argument in (("describe", "NAME"), ("check-environment", "[ID]")):
        shown = cli(command, "--help").out
        assert shown.startswith(f"usage: dopamine-lite {command} {argument} [--flag=value ...]\n")
        assert f"\narguments:\n  {argument}  " in shown
        lines = shown.partition("arguments:")[2].splitlines()
        assert all(len(line) <= 70 for line in lines)
    assert "arguments:" not in cli("train", "--help").out


def test_flags_may_follow_the_arguments_without_one(cli):
    first, last = cli("describe", "--json", "Crop"), cli("describe", "Crop", "--json")
    assert first == last and first.out.startswith("{")


def test_version(cli):
    assert cli("--version").out.startswith("dopamine-lite ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "A command is missing: the commands are train, sweep,"),
        (["trian"], "There is no command trian (did you mean train?)"),
        (["train", "--base_dri=x"], "train has no flag --base_dri (did you mean --base_dir?)"),
        (["train", "--base_dir=x", "y"], "takes flags only, not 'y'"),
        (["train", "--base_dir=x", "--seed=one"], "--seed=one: invalid literal"),
        (["train", "--base_dir=x", "--seed=-1"], "--seed=-1: -1 is not a non-negative integer."),
        (["train", "--seed"], "Missing value for --seed."),
        (["list", "--games=perhaps"], "--games=perhaps: Non-boolean argument to boolean flag."),
        (["train", "--base_dir=x", "--base_dir=y"], "--base_dir=y: already defined as x."),
        (["list", "--nogames=1"], "--nogames=1 does not take an argument."),
        (["describe", "MLP", "--jsno"], "describe has no flag --jsno (did you mean --json?)"),
        (["check_environment", "X"], "no command check_environment (did you mean check-env"),
    ],
)
def test_mistakes_in_the_arguments(cli, arguments, sentence):
    refused = cli(*arguments)
    assert refused.status == 2
    assert refused.err.startswith("dopamine-lite: ") and sentence in refused.err
    assert refused.err.count("\n") == 1 and refused.out == ""


def test_interrupt_outside_a_run_ends_with_130(cli, tmp_path, monkeypatch):
    (tmp_path / "interrupts.py").write_text("raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "interrupts.gin"
    config.write_text("import interrupts\n")
    stopped = cli("train", "--base_dir", tmp_path / "run", "--gin_files", config)
    assert stopped.status == 130
    assert stopped.err == "dopamine-lite: Interrupted before training began.\n"


@pytest.mark.exhaustive
def test_modules_in_the_current_directory_are_found(tmp_path):
    (tmp_path / "my_module.py").write_text("open('imported', 'w').close()\n")
    (tmp_path / "own.gin").write_text("import my_module\n")
    # As it is installed: `python -m` would look in the current directory by itself.
    program = Path(sys.executable).with_name("dopamine-lite")
    command = [program, "train", "--base_dir", "run", "--gin_files", "own.gin"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (tmp_path / "imported").exists(), ended.stderr


def test_reader_that_goes_away():
    listing = start("list")
    listing.stdout.close()
    listing.stdout = None
    ended = finish(listing)
    assert ended.status == 141 and ended.err == ""


def _in_a_shell(command: str, *directories: Path, **variables: str) -> Outcome:
    """Runs `command`, in which $P is the program and $1, $2 ... are the directories."""
    process = subprocess.Popen(
        ["sh", "-c", command, "sh", *map(str, directories)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "P": f"{sys.executable} -m dopamine_lite"}
        | variables,
    )
    return finish(process)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("$P list > /dev/full", "Cannot write to standard output (No space left on device)"),
        ("$P list >&-", "Cannot write to standard output (Bad file descriptor)"),
        ("$P --help > /dev/full", "Cannot write to standard output (No space left on device)"),
    ],
)
def test_what_cannot_be_printed_is_a_sentence(command, sentence):
    ended = _in_a_shell(command)
    assert ended.status == 2
    assert ended.err == f"dopamine-lite: {sentence}: send it elsewhere.\n"


@pytest.mark.parametrize(
    ("redirection", "sentence"),
    [
        (">/dev/full", "Standard output was lost (No space left on device), but the work is done."),
        pytest.param(
            ">&-",
            "Standard output was lost (Bad file descriptor), but the work is done.",
            marks=pytest.mark.exhaustive,
        ),
        pytest.param("2>/dev/full", "", marks=pytest.mark.exhaustive),
        pytest.param("<&- >&- 2>&-", "", marks=pytest.mark.exhaustive),
    ],
)
def test_work_is_done_though_nobody_can_read_of_it(redirection, sentence, runs, tmp_path):
    output = tmp_path / "result.json"
    ended = _in_a_shell(
        f'$P evaluate --base_dir "$1" --episodes 2 --output "$2" {redirection}',
        runs["random"],
        output,
    )
    assert ended.status == 0
    assert len(json.loads(output.read_text())["returns"]) == 2
    assert sentence in ended.err and ended.err.count("\n") == bool(sentence)


@pytest.mark.exhaustive
def test_nothing_is_written_into_files_for_a_closed_output(tmp_path):
    # What is opened first would get the number of the closed output, and all that is written there.
    (tmp_path / "prints.py").write_text(
        "import os\nfile = open('opened', 'w')\ntry:\n    os.write(1, b'text')\n"
        "except OSError:\n    pass\n"
    )
    (tmp_path / "prints.gin").write_text("import prints\n")
    _in_a_shell('cd "$1"; $P train --base_dir run --gin_files prints.gin >&-', tmp_path)
    assert (tmp_path / "opened").read_text() == ""


def test_letters_that_the_output_lacks_are_escaped(runs, tmp_path):
    run = tmp_path / "d\u00e9"
    shutil.copytree(runs["random"], run)
    ended = _in_a_shell('$P inspect --base_dir "$1"', run, PYTHONIOENCODING="ascii")
    assert ended.status == 0
    assert "d\\xe9" in ended.out


def test_no_place_for_temporary_files_is_a_sentence(cli, tmp_path, monkeypatch, gin_files):
    def nowhere(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/nope']")

    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", None)
        patched.setattr(tempfile, "_get_default_tempdir", nowhere)
        refused = cli("train", "--base_dir", tmp_path / "run", "--gin_files", gin_files["random"])
    assert refused.status == 2
    assert refused.err == (
        "dopamine-lite: There is no directory for temporary files: set TMPDIR to a directory that "
        "can be written to.\n"
    )
    assert not (tmp_path / "run").exists()


@pytest.mark.exhaustive
def test_file_that_cannot_be_written_whole_is_a_sentence(runs, tmp_path):
    def limit_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    output = tmp_path / "result.json"
    process = start(
        *("evaluate", "--base_dir", runs["random"], "--episodes", 5, "--output", output),
        preexec_fn=limit_files,
    )
    ended = finish(process)
    assert ended.status == 2
    assert ended.err.startswith("dopamine-lite: File too large")
    assert ended.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


EXITING = """\
import gymnasium, sys
class Exiting(gymnasium.Env):
    observation_space = gymnasium.spaces.Discrete(2)
    action_space = gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return 0, {{}}
    def step(self, action):
        {statement}
gymnasium.register("Exiting-v0", Exiting)
"""


@pytest.fixture
def exiting(tmp_path, monkeypatch) -> Callable[[str], list[str]]:
    """Arguments of a training in whose environment a step is this statement."""

    def arguments(statement: str) -> list[str]:
        module = f"exiting_{tmp_path.name}"
        (tmp_path / f"{module}.py").write_text(EXITING.format(statement=statement))
        monkeypatch.syspath_prepend(tmp_path)
        bindings = [
            "Runner.agent = @RandomAgent",
            "Runner.environment = @create_environment",
            "create_environment.id = 'Exiting-v0'",
            "Runner.evaluation_episodes = 1",
        ]
        parts = ["dopamine_lite.agents.random_agent", "dopamine_lite.environments.factory"]
        text = [f"import {name}" for name in [module, *parts]] + bindings
        (tmp_path / "own.gin").write_text("\n".join([*text, ""]))
        return [
            "train",
            "--base_dir",
            str(tmp_path / "run"),
            "--gin_files",
            str(tmp_path / "own.gin"),
        ]

    return arguments


@pytest.mark.parametrize(
    ("statement", "status", "said"),
    [
        ("sys.exit(0)", 1, "called exit(0), which ended the command before it was done"),
        ("sys.exit(7)", 7, "called exit(7), which ended the command"),
    ],
)
def test_an_exit_by_a_users_code_is_no_success(cli, exiting, statement, status, said):
    ended = cli(*exiting(statement))
    assert ended.status == status
    assert "Traceback" in ended.err and "exiting_" in ended.err and said in ended.err


def test_what_the_system_refused_a_users_code_is_not_taken_for_ours(cli, exiting):
    with pytest.raises(OSError, match="no room") as caught:
        cli(*exiting("raise OSError(28, 'no room')"))
    assert any("exiting_" in str(entry.path) for entry in caught.traceback)
