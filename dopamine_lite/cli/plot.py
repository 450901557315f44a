"""`dopamine-lite plot`: the learning curves of one run or several, as a picture."""

from __future__ import annotations

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.pictures import guarded_matplotlib
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.paths import user_path

SUMMARY = "Draws the returns of runs, with epsilon or entropy beside them; or any other metric."
_SUFFIXES = (".png", ".svg", ".pdf")
_X = ("steps", "episodes")


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_multi_string(
        "base_dir",
        None,
        "a run's directory (required); the seeds of one experiment are drawn as one line with a band",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "the picture: a file that ends in .png, .svg or .pdf (required)",
        flag_values=flag_values,
    )
    run_directory.define_count(
        flag_values,
        "window",
        None,
        "episodes in the running mean (default: those of the last twentieth of the run, at least five)",
    )
    flags.DEFINE_string(
        "metric",
        None,
        "what training logs of each iteration, such as q_mean, in the place of returns",
        flag_values=flag_values,
    )
    flags.DEFINE_enum("x", "steps", _X, "what the horizontal axis counts", flag_values=flag_values)


def run(flag_values: flags.FlagValues) -> None:
    directories = [user_path(name) for name in flag_values.base_dir or []]
    if not directories:
        raise UserError("--base_dir is missing: name the run's directory.")
    for directory in directories:
        run_directory.check_run(directory)
    output = run_directory.output_file(flag_values.output, _SUFFIXES, "curves.png")
    guarded_matplotlib()
    from dopamine_lite.analysis import plots
    from dopamine_lite.analysis.runs import load_runs

    loaded = load_runs(directories)
    runs, title = plots.curves_of(loaded), plots.title_of(loaded)
    by_episode = flag_values.x == "episodes"
    if flag_values.metric is None:
        for curves in runs:
            if not curves.returns.size:
                raise UserError(
                    f"The run in {curves.name} has not finished an episode yet: train it."
                )
        figure = plots.draw_learning(runs, flag_values.window, by_episode, title)
    else:
        logged = sorted({name for curves in runs for name in curves.metrics})
        if not logged:
            raise UserError("No run has finished an iteration yet: metrics are logged with it.")
        if flag_values.metric not in logged:
            raise UserError(
                f"No run logs a metric {flag_values.metric!r}: choose one of {', '.join(logged)}."
            )
        figure = plots.draw_metric(runs, flag_values.metric, by_episode, title)
    with run_directory.written_aside(output) as aside:
        figure.savefig(aside, dpi=120)
    print(f"written to {output}")
