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

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
GAMES = ("MinAtar/Asterix", "MinAtar/Breakout", "MinAtar/SpaceInvaders")
AGENTS = {
    "dqn": "DQN",
    "c51": "C51",
    "qr_dqn": "QR-DQN",
    "iqn": "IQN",
    "rainbow": "Rainbow",
}
LAGS = {0: "without the lag", 1: "with the lag"}  # by Runner.policy_lag


def main() -> None:
    save(one_group_beside_another(), "statistics_seeds.svg")
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


def one_group_beside_another() -> Figure:
    """Every seed, and three intervals beside it."""
    scores = lag_scores()
    with new_figure(2, None, size=(4.0, 3.0)) as (figure, panels):
        for axes, (lag, values) in zip(panels, scores.items(), strict=True):
            half = scipy.stats.t.ppf(0.975, len(values) - 1) * scipy.stats.sem(values)
            rows = {
                "mean, Student's t": (values.mean(), values.mean() - half, values.mean() + half),
                "mean, bootstrap": estimate(statistics.mean, values),
                "IQM, bootstrap": estimate(statistics.iqm, values),
            }
            draw_seeds(axes, values)
            for place, (label, row) in enumerate(rows.items(), start=1):
                draw_interval(axes, place, row, COLORS[place - 1])
                print(f"{LAGS[lag]}: {label} {row[0]:.1f} ({row[1]:.1f} to {row[2]:.1f})")
            axes.axvline(500, color="0.45", linestyle="--", linewidth=1)
            axes.set_yticks(range(4), ["ten seeds", *rows])
            axes.set_ylim(3.5, -0.5)
            axes.set_xlim(190, 540)
            axes.set_xlabel("evaluation return (dashed: the highest possible)")
            axes.set_title(LAGS[lag], fontsize="medium")
    better = statistics.probability_of_improvement([scores[1]], [scores[0]], 10_000, 0)
    print(f"P(a run with the lag is better): {better.value:.2f} ({better.low:.2f}, {better.high:.2f})")
    return figure


def estimate(statistic: object, values: np.ndarray) -> tuple[float, float, float]:
    return tuple(statistics.estimate(statistic, [values], statistics.RESAMPLES, 0))  # type: ignore


def draw_seeds(axes: Axes, values: np.ndarray) -> None:
    """A dot for each seed, equal ones above each other."""
    seen: dict[float, int] = {}
    for value in np.sort(values):
        at = round(value / 8)
        seen[at] = seen.get(at, 0) + 1
        height = 0.25 - 0.09 * (seen[at] - 1)
        axes.plot(value, height, "o", color="0.2", markersize=4, clip_on=False)


def draw_interval(axes: Axes, place: int, row: tuple[float, float, float], color: str) -> None:
    value, low, high = row
    axes.plot([low, high], [place, place], color=color, linewidth=5, alpha=0.35)
    axes.plot(value, place, "o", color=color)


def fewer_seeds() -> Figure:
    """The means that fewer of these ten seeds would have shown."""
    values = lag_scores()[0]
    with new_figure(1, None, size=(6.0, 3.2)) as (figure, (axes,)):
        for number in range(1, len(values) + 1):
            means = np.array([np.mean(some) for some in itertools.combinations(values, number)])
            low, high = np.percentile(means, [5, 95])
            axes.plot([number] * 2, [means.min(), means.max()], color=COLORS[0], linewidth=1)
            axes.plot([number] * 2, [low, high], color=COLORS[0], linewidth=6, alpha=0.35)
            print(
                f"{number} of ten seeds: means from {means.min():.0f} to {means.max():.0f}, "
                f"nine of ten choices from {low:.0f} to {high:.0f}, {len(means)} choices"
            )
        axes.axhline(values.mean(), color="0.45", linestyle="--", linewidth=1)
        axes.set_xticks(range(1, len(values) + 1))
        axes.set_xlabel("seeds, chosen from the ten")
        axes.set_ylabel("mean evaluation return")
    return figure


def profiles() -> Figure:
    """Performance profiles of five agents in three games of MinAtar."""
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
