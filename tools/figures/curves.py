"""Draws the learning curves in docs/ from baselines/curves.csv and baselines/published/.

python tools/figures/curves.py            # draws all figures into docs/pictures/curves
python tools/figures/curves.py dqn sac    # draws some of them
python tools/figures/curves.py --check    # names the outdated figures, and fails

A figure is a row of panels, a panel has lines, and a line is the mean over the seeds of one config. Its
band reaches from the lowest seed to the highest. Each file carries a digest of its numbers, of its
style and of the code that draws it.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

ROOT = Path(__file__).parents[2]
BASELINES = ROOT / "baselines"
PICTURES = ROOT / "docs" / "pictures" / "curves"
STYLE = Path(__file__).with_name("light_and_dark.mplstyle")
GRAY = "#808080"  # of what a line is compared with
_HEIGHT, _WIDTHS = 2.7, {1: 5.2, 2: 7.2, 3: 9.0}  # inches, by the number of panels

Row = Mapping[str, str]
EVALUATION, TRAINING = "eval_return", "train_return"
_WORDS = {EVALUATION: "evaluation return", TRAINING: "training return"}


class Line(NamedTuple):
    """The runs of one config in one environment; or, with `published`, somebody else's curve."""

    label: str
    config: str  # or the name of a file in baselines/published
    environment: str
    bindings: str = ""
    color: str | None = None  # None: the next of the style
    each_seed: bool = False  # a thin line for each seed instead of mean and band
    agent: str = ""  # of a published curve

    def rows(self, rows: Sequence[Row]) -> list[Row]:
        key = (self.config, self.environment, self.bindings, self.agent)
        found = [row for row in rows if tuple(row.get(name, "") for name in _KEY) == key]
        if not found:
            raise LookupError(f"No rows of {self.config} in {self.environment}, {self.bindings!r}.")
        return found


_KEY = ("config", "environment", "bindings", "agent")


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    lines: tuple[Line, ...]
    column: str = EVALUATION
    limits: tuple[float | None, float | None] = (None, None)  # of the returns that are shown
    levels: tuple[tuple[str, float], ...] = ()  # dashed lines and what they are
    most_steps: float | None = None  # agent steps that are shown; None: all


class Points(NamedTuple):
    """A curve over agent steps."""

    steps: list[float]
    means: list[float]
    lows: list[float]
    highs: list[float]
    seeds: dict[str, list[float]]

    @classmethod
    def of(cls, rows: Sequence[Row], column: str) -> Points:
        """Of rows with the same key; each seed has to have every point."""
        by_step: dict[float, list[Row]] = {}
        for row in rows:
            if row[column]:
                by_step.setdefault(float(row["agent_steps"]), []).append(row)
        seeds = {row["seed"] for row in rows}
        for step, found in by_step.items():
            if {row["seed"] for row in found} != seeds:
                raise ValueError(f"{rows[0]['config']}: not every seed has step {step:,.0f}.")
        steps = sorted(by_step)
        values = [[float(row[column]) for row in by_step[step]] for step in steps]
        lows = [[float(row.get("low") or row[column]) for row in by_step[step]] for step in steps]
        highs = [[float(row.get("high") or row[column]) for row in by_step[step]] for step in steps]
        of_seeds = {
            seed: [
                float(row[column]) for step in steps for row in by_step[step] if row["seed"] == seed
            ]
            for seed in sorted(seeds)
        }
        return cls(
            steps,
            [sum(some) / len(some) for some in values],
            [min(some) for some in lows],
            [max(some) for some in highs],
            of_seeds,
        )


def read_rows() -> list[Row]:
    """Our curves and the published ones, as rows of curves.csv."""
    rows: list[Row] = []
    with (BASELINES / "curves.csv").open(newline="") as file:
        rows += csv.DictReader(file)
    for path in sorted((BASELINES / "published").glob("dopamine*.csv")):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                rows.append(row | {"config": path.name, TRAINING: row["value"], "seed": ""})
    return rows


def figure(panels: Sequence[Panel], rows: Sequence[Row]) -> Figure:
    """A figure of the panels, side by side."""
    with pyplot.style.context(STYLE):
        made, grid = pyplot.subplots(
            1, len(panels), figsize=(_WIDTHS[len(panels)], _HEIGHT), squeeze=False
        )
        for axes, panel in zip(grid[0], panels, strict=True):
            draw(axes, panel, rows)
        labels = [tuple(line.label for line in panel.lines) for panel in panels]
        if len(panels) > 1 and len(set(labels)) == 1 and len(labels[0]) > 1:
            lines, names = grid[0][0].get_legend_handles_labels()
            made.legend(lines, names, loc="outside lower center", ncols=len(names))
        else:
            for axes, names in zip(grid[0], labels, strict=True):
                if len(names) > 1:
                    axes.legend()
        pyplot.close(made)
    return made


def draw(axes: Axes, panel: Panel, rows: Sequence[Row]) -> None:
    """Draws a panel, in the style that is active."""
    for line in panel.lines:
        points = Points.of(line.rows(rows), panel.column)
        if line.each_seed:
            color = line.color or axes._get_lines.get_next_color()
            for number, values in enumerate(points.seeds.values()):
                label = line.label if number == 0 else None
                axes.plot(points.steps, values, color=color, linewidth=1.1, label=label)
            continue
        marker = "o" if len(points.steps) < 20 and points.lows == points.highs else None
        style = "--" if line.agent else "-"
        [drawn] = axes.plot(
            points.steps, points.means, style, marker=marker, color=line.color, label=line.label
        )
        axes.fill_between(
            points.steps, points.lows, points.highs, color=drawn.get_color(), alpha=0.2, linewidth=0
        )
    for label, height in panel.levels:
        axes.axhline(height, color=GRAY, linewidth=1, linestyle=":")
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "bottom"}
        axes.annotate(label, (0.99, height), fontsize=8, **place)
    axes.set_title(panel.title)
    axes.set_xlabel("agent steps")
    axes.set_ylabel(_WORDS[panel.column])
    axes.margins(x=0.02)
    axes.set_xlim(0, panel.most_steps)
    axes.set_ylim(*panel.limits)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def digest(panels: Sequence[Panel], rows: Sequence[Row]) -> str:
    """Of everything that the figure shows, and of how it is drawn."""
    shown = [Points.of(line.rows(rows), panel.column) for panel in panels for line in panel.lines]
    known = repr((panels, shown, GRAY, _HEIGHT, _WIDTHS, _WORDS))
    return digest_of(known, Points.of, figure, draw)


def digest_of(known: str, *functions: Callable[..., Any]) -> str:
    """Of what is known of a figure, of the style, and of the source of the functions that draw it."""
    text = known + STYLE.read_text(encoding="utf-8") + "".join(map(inspect.getsource, functions))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save(path: Path, panels: Sequence[Panel], rows: Sequence[Row]) -> None:
    """Writes the SVG, the same bytes from the same numbers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyplot.style.context(STYLE):
        figure(panels, rows).savefig(
            path, metadata={"Date": None, "Creator": None, "Identifier": digest(panels, rows)}
        )


def is_current(path: Path, panels: Sequence[Panel], rows: Sequence[Row]) -> bool:
    """Whether the file shows these rows."""
    return path.exists() and digest(panels, rows) in path.read_text(encoding="utf-8")


def _beside_dqn(agent: str, label: str, config: str, environment: str, title: str = "") -> Panel:
    """An agent and, in gray, DQN with the config of the same name."""
    dqn = Line("DQN", f"dqn/{config}", environment, color=GRAY)
    return Panel(
        title or environment, (Line(label, f"{agent}/{config}", environment), dqn), TRAINING
    )


def _agent(agent: str, label: str) -> tuple[Panel, ...]:
    """What the pages of C51, QR-DQN, IQN and Rainbow show."""
    return (
        _beside_dqn(agent, label, "lunar_lander.gin", "LunarLander-v3")._replace(
            limits=(-250, 300)
        ),
        _beside_dqn(
            agent, label, "minatar.gin", "MinAtar/SpaceInvaders", "Space Invaders (MinAtar)"
        ),
    )


_DOPAMINE = Line(
    "Dopamine's DQN",
    "dopamine_legacy.csv",
    "",
    color=GRAY,
    agent="DQN (Adam + MSE in JAX)",
)
_BREAKOUT = ("classics/dqn_breakout.gin", "Breakout", "Runner.num_iterations = 2")
_INVADERS = ("classics/dqn_space_invaders.gin", "SpaceInvaders", "Runner.num_iterations = 3")
_INVADERS_REINFORCE = (
    *("classics/reinforce_space_invaders.gin", "SpaceInvaders", "Runner.num_iterations = 10"),
)
_DOUBLE_Q_CONSTANT = (
    *("classics/double_q_cartpole.gin", "CartPole-v1"),
    "DoubleQLearningAgent.learning_rate_decay_period = None",
)
_PONG_REINFORCE = ("classics/reinforce_pong.gin", "Pong", "Runner.num_iterations = 16")
_PONG_PPO = ("ppo/atari_ppo2.gin", "Pong", "Runner.num_iterations = 13")

FIGURES: dict[str, tuple[Panel, ...]] = {
    "dqn": (
        Panel("CartPole-v1", (Line("DQN", "dqn/cartpole.gin", "CartPole-v1"),), TRAINING),
        Panel(
            "LunarLander-v3",
            (Line("DQN", "dqn/lunar_lander.gin", "LunarLander-v3"),),
            TRAINING,
            limits=(-250, 300),
        ),
    ),
    "c51": _agent("c51", "C51"),
    "qr_dqn": _agent("qr_dqn", "QR-DQN"),
    "iqn": _agent("iqn", "IQN"),
    "rainbow": _agent("rainbow", "Rainbow"),
    "pqn": (
        Panel("CartPole-v1", (Line("PQN", "pqn/cartpole.gin", "CartPole-v1"),), TRAINING),
        Panel("Acrobot-v1", (Line("PQN", "pqn/acrobot.gin", "Acrobot-v1"),), TRAINING),
    ),
    "ppo": (
        Panel(
            "LunarLander-v3, discrete",
            (Line("PPO", "ppo/lunar_lander.gin", "LunarLander-v3"),),
            TRAINING,
            limits=(-250, 300),
        ),
        Panel(
            "LunarLanderContinuous-v3",
            (Line("PPO", "ppo/lunar_lander_continuous.gin", "LunarLanderContinuous-v3"),),
            TRAINING,
            limits=(-250, 300),
        ),
    ),
    "ppo_pong": (
        Panel("Pong, one seed", (Line("PPO", *_PONG_PPO),), TRAINING, levels=(("random", -20.4),)),
    ),
    "sac": (
        Panel("Pendulum-v1", (Line("SAC", "sac/pendulum.gin", "Pendulum-v1"),)),
        Panel(
            "MountainCarContinuous-v0",
            (Line("SAC", "sac/mountain_car_continuous.gin", "MountainCarContinuous-v0"),),
        ),
    ),
    "tabular": (
        Panel(
            "CliffWalking-v1",
            (
                Line("Q-learning", "classics/q_learning_cliff.gin", "CliffWalking-v1"),
                Line("Sarsa", "classics/sarsa_cliff.gin", "CliffWalking-v1"),
            ),
            TRAINING,
            limits=(-110, 0),
        ),
    ),
    "classic_02": (
        Panel(
            "Q-learning on the grid",
            (Line("Q-learning", "classics/q_learning_grid_world.gin", "GridWorld-v0"),),
            TRAINING,
            levels=(("the best possible, -11", -11.0),),
        ),
    ),
    "classic_03": (
        Panel(
            "DQN on Breakout, one seed",
            (Line("here", *_BREAKOUT), _DOPAMINE._replace(environment="Breakout")),
            TRAINING,
            limits=(0, 26),
            most_steps=1_300_000,
        ),
    ),
    "classic_04": (
        Panel(
            "DQN on Space Invaders, one seed",
            (Line("here", *_INVADERS), _DOPAMINE._replace(environment="SpaceInvaders")),
            TRAINING,
            limits=(0, 600),
            levels=(("random", 138.0),),
            most_steps=1_300_000,
        ),
    ),
    "classic_05": (
        Panel(
            "REINFORCE on LunarLander, each of three seeds",
            (
                Line(
                    "REINFORCE",
                    "classics/reinforce_lunar_lander.gin",
                    "LunarLander-v3",
                    each_seed=True,
                ),
            ),
            TRAINING,
            levels=(("landed: 200", 200.0),),
        ),
    ),
    "classic_06": (
        Panel(
            "REINFORCE on Space Invaders, one seed",
            (Line("REINFORCE", *_INVADERS_REINFORCE),),
            TRAINING,
            limits=(100, 220),
            levels=(("random", 138.0),),
        ),
    ),
    "classic_07": (
        Panel(
            "Sarsa on CartPole",
            (Line("Sarsa", "classics/sarsa_cartpole.gin", "CartPole-v1"),),
            TRAINING,
            limits=(0, 210),
            levels=(("the best possible, 200", 200.0),),
        ),
    ),
    "classic_08": (
        Panel(
            "CartPole",
            (
                Line("double Q, alpha to zero", "classics/double_q_cartpole.gin", "CartPole-v1"),
                Line("double Q, constant", *_DOUBLE_Q_CONSTANT),
                Line("Q-learning, constant", "classics/q_learning_cartpole.gin", "CartPole-v1"),
            ),
            TRAINING,
            limits=(100, 205),
        ),
    ),
    "classic_09": (
        Panel(
            "REINFORCE on Pong, one seed",
            (Line("REINFORCE", *_PONG_REINFORCE),),
            TRAINING,
            limits=(-21, 21),
            levels=(("level with the opponent", 0.0),),
        ),
    ),
    "classic_10": (
        Panel(
            "PPO on RocketLander",
            (
                Line("clip", "ppo/rocket_lander.gin", "RocketLander-v0"),
                Line("KL penalty", "classics/ppo_kl_rocket_lander.gin", "RocketLander-v0"),
            ),
            TRAINING,
            levels=(("hand-written controller", 219.0),),
        ),
    ),
    "classic_11": (
        Panel(
            "training, softmax of Q",
            (Line("DQN", "classics/dqn_boltzmann_cartpole.gin", "CartPole-v1"),),
            TRAINING,
            limits=(0, 210),
        ),
        Panel(
            "evaluation, best action",
            (Line("DQN", "classics/dqn_boltzmann_cartpole.gin", "CartPole-v1"),),
            limits=(0, 210),
        ),
    ),
}


def main(figures: Mapping[str, Sequence[Panel]], arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Draws learning curves for the documents.")
    parser.add_argument("names", nargs="*", help="the figures to draw; none: all of them")
    parser.add_argument("--check", action="store_true", help="only tell which are out of date")
    given = parser.parse_args(arguments)
    if unknown := set(given.names) - set(figures):
        parser.error(
            f"no figure is called {', '.join(sorted(unknown))}: choose of {', '.join(figures)}"
        )
    rows, out_of_date = read_rows(), []
    for name in given.names or figures:
        path = PICTURES / f"{name}.svg"
        if not given.check:
            save(path, figures[name], rows)
        elif not is_current(path, figures[name], rows):
            out_of_date.append(name)
    for name in out_of_date:
        print(f"{name}: not of today's data or code; run python tools/figures/curves.py {name}")
    return 1 if out_of_date else 0


if __name__ == "__main__":
    sys.exit(main(FIGURES, sys.argv[1:]))
