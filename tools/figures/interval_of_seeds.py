"""Draws the figures of docs/explanation/statistics.md from baselines/*.csv, and prints their numbers.

python tools/figures/interval_of_seeds.py
"""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dopamine_lite import analysis
from dopamine_lite.analysis import statistics
from dopamine_lite.analysis.collected import read_collected
from dopamine_lite.analysis.figures import COLORS, new_figure
from dopamine_lite.analysis.statistics import RESAMPLES, Estimate

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
GAMES = ("MinAtar/Asterix", "MinAtar/Breakout", "MinAtar/SpaceInvaders")
AGENTS = {"dqn": "DQN", "qr_dqn": "QR-DQN", "rainbow": "Rainbow"}  # by directory
GREY = "0.45"
LAGS = {0: "without the lag", 1: "with the lag"}  # by Runner.policy_lag


def main() -> None:
    save(two_groups(), "statistics_seeds.svg")
    save(fewer_seeds(), "statistics_number_of_seeds.svg")
    save(profiles(), "statistics_profiles.svg")


def save(figure: Figure, name: str) -> None:
    """Writes an SVG that is the same whenever it is drawn."""
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(PICTURES / name, metadata={"Date": None})


def lag_scores() -> dict[int, np.ndarray]:
    """The evaluation returns of ten seeds of DQN on CartPole, by policy lag."""
    table = pd.read_csv(ROOT / "baselines" / "final.csv")
    bindings = table["bindings"].astype(str)
    ours = (table["config"] == "dqn/cartpole.gin") & bindings.str.contains("policy_lag")
    return {
        lag: table[ours & bindings.str.contains(f"policy_lag = {lag}")][
            "evaluation_return"
        ].to_numpy(float)
        for lag in LAGS
    }


def two_groups() -> Figure:
    """Every seed of two groups, and three intervals of each."""
    scores = lag_scores()
    labels = []
    with new_figure(1, None, size=(7.2, 3.6)) as (figure, (axes,)):
        for lag, values in scores.items():
            draw_seeds(axes, values, len(labels))
            labels.append(f"{LAGS[lag]}: ten seeds")
            for color, (label, row) in zip(COLORS, intervals(values).items(), strict=False):
                draw_interval(axes, len(labels), row, color)
                labels.append(label)
                print(f"{LAGS[lag]}, {label}: {row.value:.1f} ({row.low:.1f} to {row.high:.1f})")
        axes.axvline(500, color=GREY, linestyle="--", linewidth=1, zorder=0)
        axes.axhline(3.5, color=GREY, linewidth=0.5)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlabel("evaluation return; the dashed line is the highest possible")
        trim(axes, "x")
    better = statistics.probability_of_improvement([scores[1]], [scores[0]], 10_000, 0)
    print(f"probability of improvement: {better.value:.2f} ({better.low:.2f} to {better.high:.2f})")
    return figure


def intervals(values: np.ndarray) -> dict[str, Estimate]:
    mean = float(values.mean())
    half = float(scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values))
    return {
        "mean, Student's t": Estimate(mean, mean - half, mean + half),
        "mean, bootstrap": statistics.estimate(statistics.mean, [values], RESAMPLES, 0),
        "IQM, bootstrap": statistics.estimate(statistics.iqm, [values], RESAMPLES, 0),
    }


def draw_seeds(axes: Axes, values: np.ndarray, row: int) -> None:
    """A dot for each seed; dots that would cover each other are stacked around the row."""
    places = np.round(values / 8)
    for place in np.unique(places):
        here = np.sort(values[places == place])
        heights = row + 0.08 * (np.arange(len(here)) - (len(here) - 1) / 2)
        axes.plot(here, heights, "o", color="0.2", markersize=3.5, linestyle="none")


def draw_interval(axes: Axes, row: int, found: Estimate, color: str) -> None:
    bar = {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "butt"}
    axes.plot([found.low, found.high], [row, row], color=color, **bar)
    axes.plot(found.value, row, "o", color=color, markersize=6)


def fewer_seeds() -> Figure:
    """The means that fewer of ten seeds would have shown, a dot for each choice."""
    values = lag_scores()[0]
    generator = np.random.default_rng(0)
    with new_figure(1, None, size=(6.4, 3.4)) as (figure, (axes,)):
        for number in range(1, len(values) + 1):
            means = np.array([np.mean(some) for some in itertools.combinations(values, number)])
            at = number + generator.uniform(-0.25, 0.25, len(means))
            axes.plot(at, means, "o", color=COLORS[0], markersize=3, alpha=0.3, linestyle="none")
            print(
                f"{number} of ten seeds: {len(means)} means, {means.min():.0f} to {means.max():.0f}"
            )
        axes.axhline(values.mean(), color=GREY, linestyle="--", linewidth=1)
        axes.set_xticks(range(1, len(values) + 1))
        axes.set_xlabel("number of seeds, chosen from ten")
        axes.set_ylabel("mean evaluation return")
        trim(axes, "y")
    return figure


def trim(axes: Axes, grid: str) -> None:
    axes.grid(alpha=0.25, axis=grid)
    axes.spines[["top", "right"]].set_visible(False)


def profiles() -> Figure:
    """Performance profiles of three agents in three games of MinAtar."""
    runs = read_collected(ROOT / "baselines" / "curves.csv")
    room = runs.runs["config"].str.partition("/")
    chosen = runs.runs["environment"].isin(GAMES) & (room[2] == "minatar.gin")
    table = runs.runs[chosen & room[0].isin(list(AGENTS))].copy()
    table["group"] = room[0].map(AGENTS)
    kept = runs.iterations[runs.iterations["run"].isin(table["run"])]
    scores = analysis.scores(runs._replace(runs=table, iterations=kept), "train")
    ends = scores.groupby("environment")["score"].max()
    bounds = pd.DataFrame({"environment": ends.index, "low": 0.0, "high": ends.to_numpy()})
    found = analysis.profiles(analysis.normalized(scores, bounds))
    across = analysis.aggregate(analysis.normalized(scores, bounds), across=True)
    print(across[across["statistic"] == "iqm"][["group", "value", "low", "high"]].round(2))
    return analysis.draw_profiles(found, x="score, as a share of the game's best run")


if __name__ == "__main__":
    main()
