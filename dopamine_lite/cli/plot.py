"""`dopamine-lite plot`: the learning curves of one run or several, as a picture."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.pictures import guarded_matplotlib
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.files.paths import user_path

if TYPE_CHECKING:
    from dopamine_lite.analysis.plots import Curves

SUMMARY = "Draws the returns of runs, with epsilon or entropy beside them, or any other metric."
EXAMPLE = "dopamine-lite plot --base_dir runs/cartpole --output runs/cartpole.png"
_SUFFIXES = (".png", ".svg", ".pdf")
_X = ("steps", "episodes")


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "base_dir",
        None,
        "The directory of a run or a study, or any directory with runs below it. The seeds of one "
        "experiment are drawn as one line with a band. Required.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "The file for the picture, which ends in .png, .svg or .pdf. Required.",
        flag_values=flag_values,
    )
    run_directory.define_count(
        flag_values,
        "window",
        None,
        "The number of episodes in the running mean. Default: as many as the last twentieth of the "
        "run has, but at least five.",
    )
    flags.DEFINE_string(
        "metric",
        None,
        "A training metric to draw instead of returns, such as q_mean.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum("x", "steps", _X, "What the horizontal axis counts.", flag_values=flag_values)


def run(flag_values: flags.FlagValues) -> None:
    directories = [user_path(name) for name in flag_values.base_dir or []]
    if not directories:
        raise UserError("--base_dir is missing: name the run's directory.")
    for directory in directories:
        if directory.is_file():
            raise UserError(f"--base_dir {directory} is a file: name a run's directory.")
    output = run_directory.output_file(flag_values.output, _SUFFIXES, "curves.png")
    guarded_matplotlib()
    from dopamine_lite.analysis import plots
    from dopamine_lite.analysis.runs import load_runs

    loaded = load_runs(directories)
    runs, title = plots.curves_of(loaded), plots.title_of(loaded)
    by_episode = flag_values.x == "episodes"
    if flag_values.metric is None:
        runs = _with_episodes(runs)
        figure = plots.draw_learning(runs, flag_values.window, by_episode, title)
    else:
        logged = sorted({name for curves in runs for name in curves.metrics})
        if not logged:
            raise UserError(
                "No run has finished an iteration yet, and metrics are logged at its end: train "
                "further."
            )
        if flag_values.metric not in logged:
            raise UserError(
                f"No run logs a metric {flag_values.metric!r}: choose one of {', '.join(logged)}."
            )
        figure = plots.draw_metric(runs, flag_values.metric, by_episode, title)
    with run_directory.written_aside(output) as aside:
        figure.savefig(aside, dpi=120)
    print(f"written to {output}")


def _with_episodes(runs: Sequence[Curves]) -> list[Curves]:
    """The runs that have finished an episode; names the others, and raises UserError if none has."""
    without = [curves.name for curves in runs if not curves.returns.size]
    if without and len(without) == len(runs):
        raise UserError(
            f"The run in {without[0]} has not finished an episode yet: train it further."
        )
    for name in without:
        print(
            printable(f"The run in {name} is left out: it has not finished an episode yet."),
            file=sys.stderr,
        )
    return [curves for curves in runs if curves.returns.size]
