"""Draws the learning curves of docs/results from the CSV files in baselines/.

python tools/figures/results.py             # draws all of them into docs/pictures/results
python tools/figures/results.py acrobot     # draws some of them
python tools/figures/results.py --check     # names the figures that are not of today's data, and fails

A figure has the agents of one section of the tables (`baselines/tables.py`), drawn as in `curves.py`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path += [str(Path(__file__).parent), str(ROOT / "baselines")]

import curves
import tables
from curves import EVALUATION, TRAINING, Line, Panel, Row
from matplotlib import pyplot
from matplotlib.ticker import LogLocator, NullFormatter

PICTURES = ROOT / "docs" / "pictures" / "results"
_SIZE = (7.2, 3.1)  # inches
_COLORS = {  # of an agent in every figure
    "DQN": "#0072B2",
    "C51": "#D55E00",
    "QR-DQN": "#009E73",
    "IQN": "#CC79A7",
    "Rainbow": "#E69F00",
    "PQN": "#56B4E9",
    "PPO": "#8C6D31",
    "SAC": "#8064C8",
    "REINFORCE": "#808080",
}


class Sheet(NamedTuple):
    """A figure: the section of the tables that it shows, and how."""

    section: str
    column: str = EVALUATION
    limits: tuple[float | None, float | None] = (None, None)  # of returns
    levels: tuple[tuple[str, float], ...] = ()  # dotted lines and what they are
    log: bool = False  # agent steps by their logarithm: runs of very different lengths
    unfinished: bool = False  # runs of unfinished.csv, too


SHEETS = {
    "cartpole": Sheet("CartPole-v1", log=True),
    "cartpole_200": Sheet("CartPole-v1, 200 steps", log=True),
    "acrobot": Sheet("Acrobot-v1", limits=(-510, -50), log=True),
    "lunar_lander": Sheet(
        "LunarLander-v3", limits=(-400, 310), levels=(("solved: 200", 200.0),), log=True
    ),
    "lunar_lander_continuous": Sheet("LunarLanderContinuous-v3", levels=(("solved: 200", 200.0),)),
    "mountain_car": Sheet("MountainCar-v0"),
    "mountain_car_continuous": Sheet("MountainCarContinuous-v0"),
    "pendulum": Sheet("Pendulum-v1", log=True),
    "minatar_asterix": Sheet("MinAtar/Asterix"),
    "minatar_breakout": Sheet("MinAtar/Breakout"),
    "minatar_space_invaders": Sheet("MinAtar/SpaceInvaders"),
    "grid_world": Sheet("GridWorld-v0", levels=(("the best possible: -11", -11.0),)),
    "cliff_walking": Sheet("CliffWalking-v1"),
    "rocket_lander": Sheet("RocketLander-v0", levels=(("hand-written controller: 219", 219.0),)),
    "pong": Sheet("Pong", TRAINING, unfinished=True),
    "space_invaders": Sheet("SpaceInvaders", TRAINING),
}


def panel(sheet: Sheet, groups: Sequence[tables.Group], rows: Sequence[Row]) -> Panel:
    """A line for each agent of the section that has a curve."""
    lines, levels = [], list(sheet.levels)
    for group in groups:
        if tables.section_of(group) != sheet.section:
            continue
        if group.name == tables.RANDOM:
            levels.append(("random", round(group.values("evaluation_return")[0], 1)))
            continue
        key = group.config, group.environment, group.bindings
        lines.append(Line(group.name, *key, color=_COLORS.get(group.name)))
    if sheet.unfinished:
        found = {(row["config"], row["bindings"]) for row in unfinished()}
        for config, bindings in sorted(found):
            name = tables.Group(config, sheet.section, bindings, []).name
            label = f"{name}, not finished"
            lines.append(Line(label, config, sheet.section, bindings, color=_COLORS[name]))
    return Panel("", tuple(lines), sheet.column, sheet.limits, tuple(levels))


def unfinished() -> list[Row]:
    with (ROOT / "baselines" / "unfinished.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_rows() -> list[Row]:
    return [*curves.read_rows(), *unfinished()]


def digest(sheet: Sheet, drawn: Panel, rows: Sequence[Row]) -> str:
    """Of everything that the figure shows."""
    text = repr(sheet) + curves.digest((drawn,), rows)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save(path: Path, sheet: Sheet, drawn: Panel, rows: Sequence[Row]) -> None:
    """Writes the SVG, the same bytes from the same numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyplot.style.context(curves.STYLE):
        figure, axes = pyplot.subplots(figsize=_SIZE)
        curves.draw(axes, drawn, rows)
        if sheet.log:
            first = min(line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) > 2)
            axes.set_xscale("log")
            axes.set_xlim(first, None)
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(curves.EngFormatter(sep=""))
            axes.xaxis.set_minor_formatter(NullFormatter())
        if len(drawn.lines) > 1:
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        metadata = {"Date": None, "Creator": None, "Identifier": digest(sheet, drawn, rows)}
        figure.savefig(path, metadata=metadata)
        pyplot.close(figure)


def out_of_date() -> list[str]:
    """The figures that do not show today's rows."""
    rows, groups, found = read_rows(), tables.groups(), []
    for name, sheet in SHEETS.items():
        path = PICTURES / f"{name}.svg"
        wanted = digest(sheet, panel(sheet, groups, rows), rows)
        if not path.exists() or wanted not in path.read_text(encoding="utf-8"):
            found.append(name)
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Draws the learning curves of docs/results.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures to draw; none: all")
    parser.add_argument("--check", action="store_true", help="only tell which are out of date")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(SHEETS):
        parser.error(f"no figure is called {', '.join(sorted(unknown))}")
    if given.check:
        for name in (found := out_of_date()):
            print(f"{name}: not of today's data; run python tools/figures/results.py {name}")
        return 1 if found else 0
    rows, groups = read_rows(), tables.groups()
    for name in given.names or SHEETS:
        sheet = SHEETS[name]
        save(PICTURES / f"{name}.svg", sheet, panel(sheet, groups, rows), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
