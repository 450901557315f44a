"""Draws the learning curves of docs/results from the CSV files in baselines/.

python tools/figures/results.py             # draws all of them into docs/pictures/results
python tools/figures/results.py acrobot     # draws some of them
python tools/figures/results.py --check     # names the outdated figures, and fails

A figure has the agents of one section of the tables (`baselines/tables.py`), drawn as in `curves.py`.
overview.svg, of README, has three of them and is one directory above.
"""

from __future__ import annotations

import argparse
import csv
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
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

PICTURES = ROOT / "docs" / "pictures" / "results"
_SIZES = {1: (7.2, 3.1), 3: (11.0, 3.4)}  # inches, by the number of panels
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
    random: bool = True  # a dotted line where a random agent is


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
    "grid_world": Sheet("GridWorld-v0", TRAINING, levels=(("the best possible: -11", -11.0),)),
    "cliff_walking": Sheet("CliffWalking-v1", TRAINING, limits=(-110, 0)),
    "rocket_lander": Sheet("RocketLander-v0", levels=(("hand-written controller: 219", 219.0),)),
    "pong": Sheet("Pong", TRAINING, unfinished=True, random=False),
    "space_invaders": Sheet("SpaceInvaders", TRAINING),
}
OVERVIEW = ("cartpole", "acrobot", "lunar_lander")  # of README and the first page
FIGURES = {name: (sheet,) for name, sheet in SHEETS.items()}
FIGURES["overview"] = tuple(SHEETS[name]._replace(levels=()) for name in OVERVIEW)


def path_of(name: str) -> Path:
    return (PICTURES if name in SHEETS else PICTURES.parent) / f"{name}.svg"


def panel(sheet: Sheet, title: str, groups: Sequence[tables.Group]) -> Panel:
    """A line for each agent of the section that has a curve."""
    lines, levels = [], list(sheet.levels)
    for group in tables.in_order(groups, sheet.section):
        if group.name == tables.RANDOM and sheet.random:
            levels.append(("random", round(group.values("evaluation_return")[0], 1)))
        if group.name == tables.RANDOM:
            continue
        key = group.config, group.environment, group.bindings
        lines.append(Line(group.name, *key, color=_COLORS.get(group.name)))
    if sheet.unfinished:
        for config, bindings in sorted({(row["config"], row["bindings"]) for row in unfinished()}):
            name = tables.Group(config, sheet.section, bindings, []).name
            label = f"{name}, not finished"
            lines.append(Line(label, config, sheet.section, bindings, color=_COLORS[name]))
    return Panel(title, tuple(lines), sheet.column, sheet.limits, tuple(levels))


def panels(name: str, groups: Sequence[tables.Group]) -> list[Panel]:
    sheets = FIGURES[name]
    titles = [sheet.section if len(sheets) > 1 else "" for sheet in sheets]
    return [panel(sheet, title, groups) for sheet, title in zip(sheets, titles, strict=True)]


def unfinished() -> list[Row]:
    with (ROOT / "baselines" / "unfinished.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def read_rows() -> list[Row]:
    return [*curves.read_rows(), *unfinished()]


def digest(name: str, drawn: Sequence[Panel], rows: Sequence[Row]) -> str:
    """Of everything that the figure shows, and of how it is drawn."""
    known = repr((FIGURES[name], _SIZES)) + curves.digest(drawn, rows)
    return curves.digest_of(known, save, count_by_powers)


def save(name: str, groups: Sequence[tables.Group], rows: Sequence[Row]) -> None:
    """Writes the SVG, the same bytes from the same numbers."""
    sheets, drawn = FIGURES[name], panels(name, groups)
    with pyplot.style.context(curves.STYLE):
        figure, grid = pyplot.subplots(1, len(sheets), figsize=_SIZES[len(sheets)], squeeze=False)
        for axes, sheet, each in zip(grid[0], sheets, drawn, strict=True):
            curves.draw(axes, each, rows)
            if sheet.log:
                count_by_powers(axes, len(sheets) > 1)
            if own := axes.get_legend():
                own.remove()
        legend = {
            label: handle
            for axes in grid[0]
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if len(legend) > 1:
            place = "outside right center" if len(sheets) == 1 else "outside lower center"
            columns = 1 if len(sheets) == 1 else len(legend)
            figure.legend(legend.values(), legend.keys(), loc=place, ncols=columns)
        metadata = {"Date": None, "Creator": None, "Identifier": digest(name, drawn, rows)}
        figure.savefig(path_of(name), metadata=metadata)
        pyplot.close(figure)


def count_by_powers(axes: Axes, is_narrow: bool) -> None:
    """Agent steps by their logarithm, from the first point of a curve on."""
    ends = [line.get_xdata()[[0, -1]] for line in axes.lines if len(line.get_xdata()) > 2]
    first, last = min(end[0] for end in ends), max(end[1] for end in ends)
    axes.set_xscale("log")
    axes.set_xlim(first, None)
    fits = not is_narrow and last < 300 * first
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if fits else (1,)))
    axes.xaxis.set_major_formatter(curves.EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())


def out_of_date() -> list[str]:
    """The figures that do not show today's rows."""
    rows, groups, found = read_rows(), tables.groups(), []
    for name in FIGURES:
        path, wanted = path_of(name), digest(name, panels(name, groups), rows)
        if not path.exists() or wanted not in path.read_text(encoding="utf-8"):
            found.append(name)
    return found


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Draws the learning curves of docs/results.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="figures to draw; none: all")
    parser.add_argument("--check", action="store_true", help="only tell which are out of date")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(FIGURES):
        parser.error(f"no figure is called {', '.join(sorted(unknown))}")
    if given.check:
        for name in (found := out_of_date()):
            print(
                f"{name}: not of today's data or code; run python tools/figures/results.py {name}"
            )
        return 1 if found else 0
    rows, groups = read_rows(), tables.groups()
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in given.names or FIGURES:
        save(name, groups, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
