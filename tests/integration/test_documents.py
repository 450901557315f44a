"""Every command and Python block in the README and the documents is executed, on runs of seconds.

`train` gets bindings that shorten it; a Python or gin block that begins with a name is that file; `make`
targets are expanded, not built (`make test-all` is what runs this); `tensorboard` inspects the logs
instead of serving them. Pages that are generated are left out: git ignores them.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dopamine_lite.cli.main import main
from tests.integration.shrink import shrunk

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools" / "site"))

from reference_pages import GENERATED

NAMED = re.compile(r"# (\w+\.(?:py|gin))\n")  # the first line of a block that is a file
IGNORED = [
    ROOT / line for line in (ROOT / ".gitignore").read_text().split() if line.startswith("docs/")
]


def is_ignored(path: Path) -> bool:
    """Whether `path` is a generated page, or would be one."""
    return any(path.is_relative_to(each) for each in IGNORED)


PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")]
PAGES += (ROOT / "docs").rglob("*.md")
DOCUMENTS = sorted(path for path in PAGES if not is_ignored(path))
MADE = {ROOT / "docs" / "reference" / name for name in GENERATED}


def blocks(document: Path, language: str) -> list[str]:
    text = document.read_text(encoding="utf-8")
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [textwrap.dedent(block) for block in found]  # those in tabs are indented


def commands(document: Path) -> list[str]:
    lines = "".join(blocks(document, "bash")).splitlines()
    return [line for line in lines if line.strip()]


def name(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def with_flag(arguments: list[str], flag: str, value: str) -> list[str]:
    """`arguments` with this `value` of `flag`, whether they have another or none."""
    if flag not in arguments:
        return [*arguments, flag, value]
    place = arguments.index(flag) + 1
    return [*arguments[:place], value, *arguments[place + 1 :]]


TO_RUN = [document for document in DOCUMENTS if commands(document) or blocks(document, "python")]


def test_there_are_commands():
    assert ROOT / "README.md" in TO_RUN
    assert len(commands(ROOT / "README.md")) >= 8


@pytest.mark.exhaustive
@pytest.mark.parametrize("document", TO_RUN, ids=name)
def test_every_command_works(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in [*blocks(document, "python"), *blocks(document, "gin")]:
        if file := NAMED.match(block):
            Path(file[1]).write_text(block)
    for command in commands(document):
        program, *arguments = shlex.split(command)
        if program == "dopamine-lite":
            if arguments[0] == "train":
                arguments += shrunk(arguments[arguments.index("--gin_files") + 1])
            if arguments[0] == "sweep":  # of several experiments, so what all of them have
                config = arguments[arguments.index("--gin_files") + 1]
                arguments = with_flag(arguments, "--seeds", "0:1")
                arguments += [flag for flag in shrunk(config) if "=Runner." in flag]
            if arguments[0] == "evaluate":
                arguments = with_flag(arguments, "--episodes", "2")
            assert main(arguments) == 0, command
        elif program == "make":
            subprocess.run(["make", "-n", "-C", ROOT, *arguments], check=True, capture_output=True)
        elif program == "tensorboard":
            inspect = [sys.executable, "-m", "tensorboard.main", "--inspect", *arguments]
            shown = subprocess.run(inspect, check=True, capture_output=True, text=True)
            assert "train/loss" in shown.stdout
        else:
            raise AssertionError(f"{name(document)}: no test knows how to run {command!r}")
    for block in blocks(document, "python"):
        if NAMED.match(block):
            continue
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "dummy"}
        subprocess.run([sys.executable, "-c", block], check=True, env=environment)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
        target = (document.parent / link).resolve()
        assert target in MADE if is_ignored(target) else target.exists(), link


def test_what_is_generated_is_ignored():
    assert all(map(is_ignored, MADE))


NAMED_WORK = re.compile(r"([A-Z][a-z]+)(?: and [A-Z][a-z]+| et al\.)? \(?((?:19|20)\d\d[ab]?)\b")


def test_every_work_that_is_named_has_its_reference():
    references = (
        (ROOT / "docs" / "reference" / "papers.md").read_text(encoding="utf-8").splitlines()
    )
    named = set()
    others = ("dopamine_lite/**/*.py", "configs/**/*.gin", "notebooks/*.ipynb")
    for path in [*DOCUMENTS, *(path for pattern in others for path in ROOT.glob(pattern))]:
        named |= set(NAMED_WORK.findall(path.read_text(encoding="utf-8")))
    assert len(named) > 25
    for author, year in sorted(named):
        assert any(author in line and year in line for line in references), (author, year)
