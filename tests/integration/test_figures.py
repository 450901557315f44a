"""The learning curves and the films in docs/ are small, shown, and of today's results."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


@pytest.fixture(scope="module")
def curves() -> ModuleType:
    spec = importlib.util.spec_from_file_location("curves", ROOT / "tools/figures/curves.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_curves_are_of_these_runs(curves, capsys):
    assert curves.main(curves.FIGURES, ["--check"]) == 0, capsys.readouterr().out


def test_another_result_makes_a_figure_old(curves, tmp_path, capsys):
    rows, panels, path = curves.read_rows(), curves.FIGURES["sac"], tmp_path / "sac.svg"
    assert not curves.is_current(path, panels, rows)
    curves.save(path, panels, rows)
    assert curves.is_current(path, panels, rows)
    place = next(index for index, row in enumerate(rows) if row["config"] == "sac/pendulum.gin")
    changed = [*rows[:place], rows[place] | {"eval_return": "-1"}, *rows[place + 1 :]]
    assert not curves.is_current(path, panels, changed)
    assert path.read_bytes() == (PICTURES / "curves" / "sac.svg").read_bytes()


@pytest.mark.parametrize(
    ("script", "drawing", "outdated"),
    [
        ("curves", "draw", "curves.main(curves.FIGURES, ['--check', 'sac'])"),
        ("results", "save", "results.main(['--check'])"),
        ("speed", "save", "speed.main(['--check'])"),
    ],
)
def test_other_code_makes_a_figure_old(script, drawing, outdated):
    program = f"import {script}\n{script}.{drawing} = {script}.main\nprint({outdated})"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT / "tools/figures", capture_output=True, text=True
    )
    assert ran.stdout.endswith("\n1\n"), ran.stderr


def test_points_of_a_line(curves):
    row = {"config": "c", "train_return": "1"}
    rows = [
        row | {"seed": seed, "agent_steps": steps, "train_return": value}
        for seed, steps, value in map(str.split, ("0 20 4", "0 10 1", "1 10 3", "1 20 8"))
    ]
    points = curves.Points.of(rows, "train_return")
    assert points.steps == [10, 20]
    assert points.means == [2, 6]
    assert (points.lows, points.highs) == ([1, 4], [3, 8])
    assert points.seeds == {"0": [1, 4], "1": [3, 8]}
    with pytest.raises(ValueError, match="not every seed"):
        curves.Points.of(rows[:3], "train_return")


def test_pictures_are_small_and_shown():
    shown = set()
    for page in (ROOT / "docs").rglob("*.md"):
        for link in re.findall(r"\]\(([^)]+\.(?:svg|gif))\)", page.read_text(encoding="utf-8")):
            shown.add((page.parent / link).resolve())
    for folder, most in (("curves", 80_000), ("films", 300_000)):
        for path in (PICTURES / folder).iterdir():
            assert path.stat().st_size < most, path
            assert path in shown, f"no page shows {path}"
