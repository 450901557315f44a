"""What is recorded of a run's making, and what is said when it has changed."""

from __future__ import annotations

import copy
import errno
import getpass
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dopamine_lite import configuration
from dopamine_lite.common.errors import UserError
from dopamine_lite.reporting import provenance

ROOT = Path(__file__).parents[2]
THREADS = {"intra_op": 2, "inter_op": 1}


def git(directory: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path) -> Path:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    directory = tmp_path / "checkout"
    directory.mkdir()
    git(directory, "init", "-q")
    (directory / "agent.py").write_text("a = 1\n")
    git(directory, "add", ".")
    git(directory, "commit", "-qm", "one")
    return directory


def start(**sections: dict[str, Any]) -> dict[str, Any]:
    """A start of a run, with `sections` changed."""
    made = {
        "machine": {"processor": "A", "cores": 2, "device": "cpu"},
        "threads": {"intra_op": 2, "inter_op": 1, "openblas": 1},
        "versions": {"numpy": "2.0", "tensorflow": "2.21.0", "tensorboard": "2.21.0"},
        "commits": {"dopamine_lite": None, "working_directory": "abc"},
        "modules": {},
        "variables": {"OPENBLAS_NUM_THREADS": "1"},
        "command": "dopamine-lite train",
    }
    made = copy.deepcopy(made)
    for name, section in sections.items():
        made[name] = made.get(name, {}) | section
    return made


# What is recorded


def test_what_is_collected(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    monkeypatch.setenv("TF_SET_ONEDNN_FPMATH_MODE", "BF16")
    found = provenance.collect(THREADS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["time"])
    assert found["versions"]["python"] == platform.python_version()
    assert re.match(r"\d+\.\d+", found["versions"]["tensorflow"])
    assert re.match(r"\d+\.\d+", found["versions"]["ale-py"])
    assert found["threads"] == {"intra_op": 2, "inter_op": 1, "openblas": 3}
    assert found["variables"]["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"
    assert found["variables"]["TF_SET_ONEDNN_FPMATH_MODE"] == "BF16"
    assert "TF_ENABLE_ONEDNN_OPTS" not in found["variables"]
    assert found["machine"]["cores"] == os.cpu_count()
    assert found["machine"]["memory_gb"] > 0
    assert found["machine"]["gpus"] is None
    assert provenance.collect(THREADS, ["NVIDIA T4"])["machine"]["gpus"] == ["NVIDIA T4"]


def test_collecting_names_no_host_and_no_user_and_imports_nothing_heavy():
    program = (
        "import sys, json\n"
        "from dopamine_lite.reporting import provenance\n"
        "print(json.dumps(provenance.collect({})))\n"
        "assert not {'tensorflow', 'keras', 'gymnasium', 'tensorboard'} & set(sys.modules)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], check=True, cwd=ROOT, capture_output=True, text=True
    ).stdout
    words = re.findall(r"[\w.-]+", shown)
    assert platform.node() not in words
    assert getpass.getuser() not in words


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/home/ann/.venv/bin/dopamine-lite", "train"], "dopamine-lite train"),
        (["/somewhere/dopamine_lite/__main__.py", "train"], "python -m dopamine_lite train"),
        (["x", "--gin_bindings=A.b = 'c d'"], """x '--gin_bindings=A.b = '"'"'c d'"'"''"""),
    ],
)
def test_the_command_as_it_was_typed(monkeypatch, argv, command):
    monkeypatch.setattr(sys, "argv", argv)
    assert provenance.collect(THREADS)["command"] == command


def test_commits(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    commits = provenance.collect(THREADS)["commits"]
    assert commits["working_directory"] == head
    (checkout / "run").mkdir()
    (checkout / "run" / "untracked").write_text("")
    assert provenance.collect(THREADS)["commits"]["working_directory"] == head


@pytest.mark.parametrize("place", [".", "runs/x", "elsewhere"])
def test_a_repository_in_the_run_executes_nothing(checkout, monkeypatch, tmp_path, place):
    """`place` is the run's directory, of which the current one is a part."""
    marker = tmp_path / "marker"
    base_dir = checkout / place if place != "elsewhere" else tmp_path / "elsewhere"
    base_dir.mkdir(parents=True, exist_ok=True)
    (checkout / ".gitattributes").write_text("*.py filter=evil\n")
    git(checkout, "config", "filter.evil.clean", f"touch {marker}; cat")
    git(checkout, "config", "core.worktree", str(tmp_path))  # so that the root tells nothing
    (checkout / "agent.py").write_text("a = 2\n")
    monkeypatch.chdir(checkout)
    commits = provenance.collect(THREADS, base_dir=base_dir)["commits"]
    if place == ".":
        assert commits["working_directory"] is None and not marker.exists()
    else:  # a directory above the run's is the user's
        assert commits["working_directory"].startswith(git(checkout, "rev-parse", "HEAD"))


def test_no_monitor_of_a_repository_is_started(checkout, monkeypatch, tmp_path):
    git(checkout, "config", "core.fsmonitor", f"touch {tmp_path / 'marker'}; false")
    monkeypatch.chdir(checkout)
    assert provenance.collect(THREADS)["commits"]["working_directory"]
    assert not (tmp_path / "marker").exists()


def test_each_change_of_a_checkout_is_another_source(checkout, monkeypatch):
    (checkout / "table.bin").write_bytes(b"\xff\x00\x01")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "two")
    git(checkout, "config", "diff.external", "false")
    git(checkout, "config", "diff.relative", "true")
    (checkout / "runs").mkdir()
    monkeypatch.chdir(checkout / "runs")
    head = git(checkout, "rev-parse", "HEAD")

    def source() -> str:
        return provenance.collect(THREADS)["commits"]["working_directory"]

    assert source() == head
    seen = []
    for name, content in [
        ("agent.py", b"a = 2\n"),
        ("agent.py", b"a = 3\n"),
        ("agent.py", b"a = '\xe4'\n"),  # not UTF-8
        ("table.bin", b"\xff\x00\x02"),
        ("table.bin", b"\xff\x00\x03"),
    ]:
        (checkout / name).write_bytes(content)
        seen.append(source())
        assert re.fullmatch(rf"{head}\+changes\.[0-9a-f]{{8}}", seen[-1])
        assert source() == seen[-1]
    assert len(set(seen)) == len(seen)
    git(checkout, "checkout", "-q", ".")
    assert source() == head


def test_the_source_has_a_commit_only_where_it_is_tracked(checkout, monkeypatch, tmp_path):
    package = checkout / "lib" / "dopamine_lite" / "common"
    package.mkdir(parents=True)
    (package / "provenance.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    monkeypatch.chdir(checkout)
    head = git(checkout, "rev-parse", "HEAD")
    installed = provenance.collect(THREADS)["commits"]
    assert installed == {"dopamine_lite": None, "working_directory": head}
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "two")
    head = git(checkout, "rev-parse", "HEAD")
    assert provenance.collect(THREADS)["commits"] == {"dopamine_lite": head}
    monkeypatch.chdir(tmp_path)
    commits = provenance.collect(THREADS)["commits"]
    assert commits == {"dopamine_lite": head, "working_directory": None}


def test_without_git_there_are_no_commits(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(configuration, "imported_modules", lambda: ["dopamine_lite"])
    found = provenance.collect(THREADS)
    assert found["commits"] == {"dopamine_lite": None, "working_directory": None}
    assert found["modules"] == {}


def test_the_modules_that_a_gin_file_imports_from_elsewhere(monkeypatch, tmp_path):
    package = tmp_path / "own_agents"
    (package / "parts").mkdir(parents=True)
    files = {
        "own_agents": package / "__init__.py",
        "own_agents.parts": package / "parts" / "__init__.py",
        "own_agents.parts.fast": package / "parts" / "fast.py",
        "own_helper": tmp_path / "own_helper.py",
    }
    for file in files.values():
        file.write_text("")
    files["own_agents.parts.fast"].write_text("import own_helper\n")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "own.gin").write_text(
        "import dopamine_lite.agents.agent\nimport json\nimport own_agents.parts.fast\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    configuration.load([tmp_path / "own.gin"])
    try:
        first = provenance.collect(THREADS)["modules"]
        assert list(first) == sorted(files)
        assert first["own_helper"] == "e3b0c442"  # SHA-256 of nothing begins so
        files["own_helper"].write_text("a = 2\n")
        second = provenance.collect(THREADS)["modules"]
        assert second["own_helper"] != "e3b0c442"
        assert {name for name in files if first[name] != second[name]} == {"own_helper"}
        files["own_helper"].unlink()
        assert provenance.collect(THREADS)["modules"]["own_helper"] is None
    finally:
        for name in files:
            del sys.modules[name]
        configuration.load([])
    assert provenance.collect(THREADS)["modules"] == {}


def test_what_a_configuration_imports_has_its_origin(monkeypatch, tmp_path):
    (tmp_path / "own_origin.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    imports = ("dopamine_lite.agents.agent", "own_origin", "json.tool", "sys", "gin.config", "PIL")
    configuration.load([], [f"import {name}" for name in imports])
    found = provenance.collect(THREADS)["imported"]
    del sys.modules["own_origin"]
    python = f"Python {platform.python_version()}"
    assert found.keys() == set(imports[1:])
    assert found["own_origin"] == "e3b0c442"
    assert found["json.tool"] == found["sys"] == python
    assert found["gin.config"] == f"gin-config {importlib.metadata.version('gin-config')}"
    assert found["PIL"].casefold() == f"pillow {importlib.metadata.version('pillow')}"


def test_other_versions_of_what_is_imported_are_told():
    before = start(imported={"minigrid": "minigrid 2.0", "own": "aaaaaaaa"}, modules={"own": "a"})
    now = start(imported={"minigrid": "minigrid 3.0", "own": "bbbbbbbb"}, modules={"own": "b"})
    first, second = provenance.changes(before, now)
    assert first.startswith(
        "The source of the imported minigrid was minigrid 2.0 when the run last"
    )
    assert second.startswith("The source of the module own was a ")
    assert provenance.changes(start(modules={"own": "a"}), before) == []  # of an earlier version


def test_a_module_in_the_package_that_no_commit_tells_of(checkout, monkeypatch):
    directory = checkout / "package"
    (directory / "common").mkdir(parents=True)
    for name in ("package", "package.tracked", "package.mine"):
        file = directory / f"{name.partition('.')[2] or '__init__'}.py"
        module = ModuleType(name)
        module.__file__ = str(file)
        monkeypatch.setitem(sys.modules, name, module)
        if name != "package.mine":
            file.write_text("")
            git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "two")
    (directory / "mine.py").write_text("")
    monkeypatch.setattr(provenance, "__file__", str(directory / "common" / "provenance.py"))
    names = ["json", "package", "package.mine", "package.tracked", "pytest"]
    monkeypatch.setattr(configuration, "imported_modules", lambda: names)
    own = provenance.collect(THREADS)["modules"]
    assert own["package.mine"] == "e3b0c442"
    assert "package.tracked" not in own and "package" not in own
    assert not {"json", "pytest"} & own.keys()


# The file


def test_the_file_of_a_run_that_is_resumed(tmp_path):
    about = {"seed": 3, "agent": {"agent": "DQNAgent"}, "protocol": {"sticky_actions": 0.25}}
    assert provenance.read(tmp_path) is None
    assert provenance.record_start(tmp_path, start(), about) == []
    first = provenance.read(tmp_path)
    assert first == {"schema": 1, **about, "started": start(), "resumed": []}
    later = start(versions={"numpy": "2.1"})
    (sentence,) = provenance.record_start(tmp_path, later, {"seed": 4})
    assert "numpy was 2.0 when the run last started and is 2.1 now" in sentence
    assert provenance.record_start(tmp_path, later, {}) == []  # compared with the last start
    assert provenance.read(tmp_path) == first | {"resumed": [later, later]}
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


def test_a_disk_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    provenance.record_start(tmp_path, start(), {})
    before = (tmp_path / "provenance.json").read_bytes()

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        provenance.record_start(tmp_path, start(), {})
    assert (tmp_path / "provenance.json").read_bytes() == before


@pytest.mark.parametrize(
    ("content", "reason"),
    [('{"schema": 1', "not JSON"), ('{"schema": 2}', "schema 2"), ("[]", "schema")],
)
def test_a_file_that_is_not_ours_is_named(tmp_path, content, reason):
    (tmp_path / "provenance.json").write_text(content)
    with pytest.raises(UserError, match=reason) as error:
        provenance.record_start(tmp_path, start(), {})
    assert str(tmp_path / "provenance.json") in str(error.value)
    assert (tmp_path / "provenance.json").read_text() == content


@pytest.mark.parametrize("key", ["started", "resumed"])
def test_a_file_without_its_keys(tmp_path, key):
    provenance.record_start(tmp_path, start(), {})
    path = tmp_path / "provenance.json"
    known = json.loads(path.read_bytes())
    path.write_text(json.dumps({name: value for name, value in known.items() if name != key}))
    with pytest.raises(
        UserError, match=f"{path} is damaged \\(it lacks '{key}'\\): restore it, or"
    ):
        provenance.record_start(tmp_path, start(), {})


@pytest.mark.parametrize("value", [None, 3, "text", [], [3]])
@pytest.mark.parametrize("key", ["started", "resumed", "agent", *provenance._SECTIONS])
def test_a_file_of_another_shape(tmp_path, key, value):
    provenance.record_start(tmp_path, start(), {"agent": {}})
    path = tmp_path / "provenance.json"
    known = json.loads(path.read_bytes())
    if key == "resumed" and value == []:
        value = [[]]
    (known["started"] if key in provenance._SECTIONS else known)[key] = value
    path.write_text(json.dumps(known))
    with pytest.raises(UserError, match=rf"{path} is damaged \(.* instead of .*\): restore"):
        provenance.record_start(tmp_path, start(), {})


def test_a_file_that_is_none_does_not_hang(tmp_path):
    path = tmp_path / "provenance.json"
    os.mkfifo(path)
    with pytest.raises(
        UserError, match="provenance.json is a named pipe, but has to be a regular file"
    ):
        provenance.read(tmp_path)
    path.unlink()
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="nested too deeply"):
        provenance.read(tmp_path)


@pytest.mark.parametrize("name", ["provenance.json", ".provenance.json"])
def test_a_link_is_replaced_and_not_written_through(tmp_path, name):
    (tmp_path / "run").mkdir()
    provenance.record_start(tmp_path / "run", start(), {})
    target = (tmp_path / "run" / "provenance.json").rename(tmp_path / "target")
    before = target.read_bytes()
    (tmp_path / "run" / name).symlink_to(target)
    provenance.record_start(tmp_path / "run", start(), {})
    assert target.read_bytes() == before
    assert not (tmp_path / "run" / "provenance.json").is_symlink()


# What has changed


@pytest.mark.parametrize(
    ("section", "values", "words"),
    [
        (
            "machine",
            {"processor": "B"},
            "The processor was A when the run last started and is B now",
        ),
        ("threads", {"intra_op": 4}, "The number of intra_op threads was 2 "),
        ("threads", {"openblas": 2}, "The number of openblas threads was 1 "),
        ("versions", {"tensorflow": "2.22.0"}, "The version of tensorflow was 2.21.0 "),
        ("versions", {"ale-py": "0.12"}, "The version of ale-py was unknown or not set "),
        ("commits", {"dopamine_lite": "abc"}, "The source of dopamine_lite was unknown "),
        ("modules", {"mine": "1a2b3c4d"}, "The source of the module mine was unknown or not set "),
        ("variables", {"XLA_FLAGS": "-x"}, "The environment variable XLA_FLAGS was unknown or not"),
        (
            "variables",
            {"XLA_FLAGS": ""},
            "The environment variable XLA_FLAGS was unknown or not set when the run last started and "
            "is empty now",
        ),
    ],
)
def test_what_ends_bit_for_bit_repetition_is_said(section, values, words):
    (sentence,) = provenance.changes(start(), start(**{section: values}))
    assert sentence.startswith(words)
    assert sentence.endswith("now: from this point on, the run may not repeat bit for bit.")
    assert provenance.changes(start(**{section: values}), start()) != []


@pytest.mark.parametrize(("section", "name"), provenance._DECISIVE)
def test_each_decisive_thing_is_said(section, name):
    before, now = (start(**{section: {name: value}}) for value in ("one", "other"))
    (sentence,) = provenance.changes(before, now)
    assert "was one" in sentence and "is other" in sentence


def test_a_device_that_an_earlier_version_did_not_record_is_no_change():
    earlier = start()
    del earlier["machine"]["device"]
    assert provenance.changes(earlier, start()) == []


def test_what_is_decisive():
    names = {name for _, name in provenance._DECISIVE}
    assert {"inter_op", "CUDA_VISIBLE_DEVICES", "TF_ENABLE_ONEDNN_OPTS", "keras", "numpy"} <= names


def test_the_working_directory_counts_where_own_modules_take_part():
    modules = {"mine": "1a2b3c4d"}
    before, now = (
        start(modules=modules, commits={"working_directory": commit}) for commit in ("a", "b")
    )
    (sentence,) = provenance.changes(before, now)
    assert sentence.startswith("The commit of the working directory was a when the run last ")
    elsewhere = start(modules=modules, commits={"working_directory": None})
    assert provenance.changes(before, elsewhere) == []


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("machine", {"cores": 64}),
        ("versions", {"tensorboard": "3"}),
        ("commits", {"working_directory": "b"}),  # without modules from there
        ("variables", {"OPENBLAS_NUM_THREADS": "01"}),  # the number of threads is what counts
    ],
)
def test_what_does_not_is_not(section, values):
    assert provenance.changes(start(), start(**{section: values})) == []


@pytest.mark.exhaustive
def test_the_threads_that_are_bound_are_those_in_force():
    lines = [
        "from dopamine_lite.configuration.tensorflow_setup import import_tensorflow, tensorflow_threads",
        "import_tensorflow()",
        "import tensorflow as tf",
        "told, threads = tensorflow_threads(3, 2), tf.config.threading",
        "assert told == {'intra_op': 3, 'inter_op': 2}, told",
        "assert threads.get_intra_op_parallelism_threads() == 3",
        "assert threads.get_inter_op_parallelism_threads() == 2",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_cores_are_those_that_the_process_may_use():
    """Often wrong: all of the machine's, in a job that was given two."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system has no affinity")
    one = min(os.sched_getaffinity(0))
    lines = [
        "import os",
        "from dopamine_lite.common.machine import usable_cores",
        f"os.sched_setaffinity(0, [{one}])",
        "assert usable_cores() == 1",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
