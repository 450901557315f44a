"""Every command in the README and the documents is executed, on runs shrunk to seconds.

`train` gets bindings that shorten it; `make` targets are expanded, not built (`make test` is what runs
this); `tensorboard` inspects the logs instead of serving them.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dopamine_lite.cli.main import main
from tests.integration.shrink import shrunk

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def commands(document: Path) -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


WITH_COMMANDS = [document for document in DOCUMENTS if commands(document)]


def test_there_are_commands():
    assert ROOT / "README.md" in WITH_COMMANDS
    assert len(commands(ROOT / "README.md")) >= 9


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_command_works(document, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in commands(document):
        program, *arguments = shlex.split(command)
        if program == "dopamine-lite":
            if arguments[0] == "train":
                arguments += shrunk(arguments[arguments.index("--gin_files") + 1])
            if arguments[0] == "evaluate":
                arguments += ["--episodes", "2"]
            assert main(arguments) == 0, command
        elif program == "make":
            subprocess.run(["make", "-n", "-C", ROOT, *arguments], check=True, capture_output=True)
        elif program == "tensorboard":
            inspect = [sys.executable, "-m", "tensorboard.main", "--inspect", *arguments]
            shown = subprocess.run(inspect, check=True, capture_output=True, text=True)
            assert "train/loss" in shown.stdout
        else:
            raise AssertionError(f"{document.name}: no test knows how to run {command!r}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert (document.parent / link).exists(), link
