"""`dopamine-lite compare`: groups of runs side by side, with seeds as replicates."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.cli.commands import as_on_the_command_line
from dopamine_lite.cli.pictures import guarded_matplotlib
from dopamine_lite.cli.tables import print_table
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.files.paths import user_path

if TYPE_CHECKING:
    import pandas as pd

    from dopamine_lite.analysis.summary import Comparison

SUMMARY = "Compares groups of runs over their seeds: tables with intervals, curves with bands."
POSITIONAL = (
    "DIRECTORY...: Directories with runs in or below them, or tables of runs such as "
    "baselines/curves.csv."
)
EXAMPLE = "dopamine-lite compare runs/study --output runs/comparison"
_HUMAN = "human"
_PICTURES = (".png", ".svg")


def define_flags(flag_values: flags.FlagValues) -> None:
    _define_choice(flag_values)
    flags.DEFINE_enum(
        "score",
        None,
        ("eval", "train", "evaluations"),
        "Where a run's score comes from: the evaluation or the training phase of its last "
        "iteration, or the results that `evaluate` wrote for its last checkpoint. Default: eval, "
        "or train if all published results for these environments are training returns.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "metric",
        "average_return",
        "The metric to compare: any that iterations log, such as info_success or train/loss.",
        flag_values=flag_values,
    )
    run_directory.define_count(
        flag_values, "last", 1, "How many last iterations are averaged into a run's score."
    )
    flags.DEFINE_enum(
        "x",
        "steps",
        ("steps", "frames", "time"),
        "The horizontal axis of the curves.",
        flag_values=flag_values,
    )
    flags.DEFINE_enum(
        "curve",
        "mean",
        ("mean", "iqm", "median"),
        "The statistic over seeds that the curves show.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "output",
        None,
        "A directory for tables (CSV, Markdown, LaTeX, JSON) and pictures (PNG, SVG). Default: "
        "nothing is written.",
        flag_values=flag_values,
    )
    run_directory.define_count(
        flag_values, "resamples", 10_000, "The number of resamples in each bootstrap."
    )
    flags.DEFINE_integer(
        "seed", 0, "The seed of the bootstrap.", lower_bound=0, flag_values=flag_values
    )


def _define_choice(flag_values: flags.FlagValues) -> None:
    """Defines the flags that choose what to compare."""
    flags.DEFINE_multi_string(
        "by",
        [],
        "What to group runs by: agent, config, processor and so on, or a setting such as "
        "Adam.learning_rate. Default: everything in which they differ.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "environment",
        [],
        "An environment whose runs are compared. Default: all.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "reference",
        [],
        "Published results to show beside the runs: a name such as dopamine, or a CSV file.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "normalize",
        None,
        "A common scale for the scores of different environments, so that they can be averaged: "
        "human (for Atari), or a CSV file with the columns environment, low and high. Default: no "
        "average over environments.",
        flag_values=flag_values,
    )
    flags.DEFINE_boolean(
        "across_protocols",
        False,
        "Show runs with different protocols side by side instead of refusing them. Their groups "
        "are then named after their protocols, too.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues, arguments: list[str]) -> None:
    if not arguments:
        raise UserError(
            "A directory is missing: name a directory with runs, such as `dopamine-lite compare "
            "runs`."
        )
    output = _output(flag_values.output) if flag_values.output is not None else None
    found = _compared(flag_values, [user_path(name) for name in arguments])
    _show(found)
    if output is not None:
        _write(found, output)
        print(f"written to {output}")


def _compared(flag_values: flags.FlagValues, paths: list[Path]) -> Comparison:
    from dopamine_lite.analysis import published, runs

    references = [published.load_reference(name) for name in flag_values.reference]
    bounds = _bounds(flag_values.normalize)
    score, metric = _measure(flag_values.score, flag_values.metric)
    loaded = runs.load_runs(paths, episodes=False)
    guarded_matplotlib()
    from dopamine_lite.analysis import summary

    return summary.compare(
        loaded,
        by=flag_values.by,
        environments=flag_values.environment,
        references=references,
        score=score,
        metric=metric,
        last=flag_values["last"].value,
        x=flag_values.x,
        statistic=flag_values.curve,
        bounds=bounds,
        across_protocols=flag_values.across_protocols,
        resamples=flag_values.resamples,
        seed=flag_values.seed,
    )


def _measure(score: str | None, metric: str) -> tuple[str | None, str]:
    """The phase and the name of the metric to compare. `metric` may name both, as "train/loss" does."""
    found = re.fullmatch(r"(eval|train)[/_](.+)", metric)
    if found is None:
        return score, metric
    if score not in (None, found[1]):
        raise UserError(
            f"--metric {metric} belongs to the phase {found[1]}, but --score says {score}: leave "
            "one out."
        )
    return found[1], found[2]


def _bounds(name: str | None) -> pd.DataFrame | None:
    from dopamine_lite.analysis import collected, published

    if name is None:
        return None
    if name == _HUMAN:
        return published.human_scores()
    path = user_path(name)
    if not path.is_file():
        raise UserError(
            f"--normalize {name} is neither {_HUMAN} nor a CSV file: name a file with the columns "
            "environment, low and high."
        )
    return collected.read_csv(path)


def _show(found: Comparison) -> None:
    print(printable(found.what))
    print()
    for title, table in _tables(found):
        print_table(title, [list(table.columns), *table.to_numpy(str).tolist()])
    print(found.method)
    for note in found.notes:
        print(printable(as_on_the_command_line(note)))


def _tables(found: Comparison) -> Iterator[tuple[str, pd.DataFrame]]:
    """The tables to show, each with its title."""
    from dopamine_lite.analysis import summary

    table = summary.comparison_table(found)
    for environment, rows in table.groupby("environment", sort=False):
        yield str(environment), rows.drop(columns="environment")
    if len(found.across):
        yield "Normalized scores over environments", summary.across_table(found)
    if len(found.improvement):
        title = "Probability that a run of one group scores higher than a run of the other"
        yield title, summary.improvement_table(found)
    if len(found.references):
        title = "Published results (value at agent steps, standard deviation over runs)"
        yield title, summary.reference_table(found)


def _output(name: str) -> Path:
    """The output directory; raises UserError if it is impossible to write there."""
    if not name:
        raise UserError("--output is empty: name a directory.")
    directory = user_path(name)
    if directory.exists() and not directory.is_dir():
        raise UserError(f"--output {directory} is a file: name a directory.")
    for file in _files():
        run_directory.check_output(directory / file)
    return directory


def _files() -> list[str]:
    pictures = ("curves", "intervals", "improvement", "profiles", "normalized")
    texts = ["table.csv", "table.md", "table.tex", "scores.csv", "curves.csv", "comparison.json"]
    return [*texts, *(name + suffix for name in pictures for suffix in _PICTURES)]


def _write(found: Comparison, directory: Path) -> None:
    """Writes all files aside and then moves them into place, so that none is half written."""
    from dopamine_lite.analysis import summary

    texts = {
        "table.csv": summary.comparison_table(found).to_csv(index=False, lineterminator="\n"),
        "table.md": _markdown(found),
        "table.tex": _latex(found),
        "scores.csv": found.scores.to_csv(index=False, lineterminator="\n"),
        "curves.csv": found.curves.to_csv(index=False, lineterminator="\n"),
        "comparison.json": json.dumps(summary.as_json(found), indent=1, allow_nan=False) + "\n",
    }
    with contextlib.ExitStack() as stack:
        for name, text in texts.items():
            aside = stack.enter_context(run_directory.written_aside(directory / name))
            aside.write_text(printable(text), encoding="utf-8")
        for name, figure in summary.comparison_figures(found):
            for suffix in _PICTURES:
                aside = stack.enter_context(
                    run_directory.written_aside(directory / f"{name}{suffix}")
                )
                figure.savefig(aside, dpi=150)


def _markdown(found: Comparison) -> str:
    parts = [f"# Comparison\n\n{found.what}.\n"]
    for title, table in _tables(found):
        cells = table.map(lambda cell: str(cell).replace("|", "\\|"))
        parts.append(f"## {title}\n\n{cells.to_markdown(index=False, disable_numparse=True)}\n")
    notes = [found.method, *found.notes]
    parts.append("## Notes\n\n" + "\n".join(f"- {note}" for note in notes) + "\n")
    return "\n".join(parts)


def _latex(found: Comparison) -> str:
    """Tables for a LaTeX document that loads the package booktabs, with the notes as comments."""
    comments = [f"% {line}" for line in (found.what, found.method, *found.notes)]
    tables = [
        f"% {title}\n{table.to_latex(index=False, escape=True)}" for title, table in _tables(found)
    ]
    return "\n".join([*(" ".join(each.split()) for each in comments), "", *tables])
