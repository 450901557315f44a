"""`dopamine-lite report`: a page on runs, as a directory of files that opens without a network."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.paths import user_path
from dopamine_lite.common.printable import printable
from dopamine_lite.runner.directory import check_writable, find_runs

SUMMARY = "Makes a page of runs: curves, scores, settings, provenance; it opens offline."
POSITIONAL = "DIRECTORY...: of runs, looked for at and below it; or with a table, as baselines/ is"
_TABLE = "curves.csv"


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "output",
        None,
        "the directory of the page, which a later report replaces (required)",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "title", None, "of the page (default: the directories' names)", flag_values=flag_values
    )
    flags.DEFINE_multi_string(
        "by",
        [],
        "what makes a group, instead of all that differs: agent, config, processor ... or a setting "
        "such as DQNAgent.learning_rate",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues, arguments: list[str]) -> None:
    if not arguments:
        raise UserError(
            "A directory is missing: name one with runs, such as `report runs --output site`."
        )
    output = _output(flag_values.output)
    from dopamine_lite.analysis.report import document, site
    from dopamine_lite.analysis.runs import load_runs

    _check_replaceable(output)
    paths = [user_path(name) for name in arguments]
    title = flag_values.title or ", ".join(path.resolve().name for path in paths)
    told: list[str] = []
    runs = load_runs([_table_in(path) or path for path in paths], False, told.append)
    report = document.build(runs, title, flag_values.by, told)
    with run_directory.written_aside(output) as aside:
        aside.mkdir()
        site.write_site(aside, report.document, report.tables)
    print(f"{report.document['summary']}; open {output / site.PAGE}")
    for note in report.said:
        print(printable(note))


def _table_in(path: Path) -> Path | None:
    """The table in a directory of collected results; None: there is none, or there are runs."""
    table = path / _TABLE
    return table if table.is_file() and not any(find_runs(path)) else None


def _output(name: str | None) -> Path:
    """The directory that --output names; raises UserError where none can be made in its place."""
    if not name:
        raise UserError("--output is missing: name the page's directory, such as --output site.")
    output = user_path(name)
    if output.is_symlink():
        raise UserError(f"--output {output} is a link, which is not written through.")
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file: name a directory.")
    if output.is_dir():
        if Path.cwd().is_relative_to(output.resolve()):
            raise UserError(f"--output {output} is where you are: name a directory in it.")
        if output.is_mount():
            raise UserError(f"--output {output} cannot be replaced as a whole: name one in it.")
        check_writable(output.parent, f"give another --output than {output}")
    else:
        run_directory.check_output(output)
    return output


def _check_replaceable(output: Path) -> None:
    """Raises UserError where something would be lost that is no report."""
    from dopamine_lite.analysis.report import site

    if output.is_dir() and (other := site.what_is_no_report(output)):
        raise UserError(
            f"--output {output} holds other things ({other}) and no report alone: name a new or an "
            "empty directory, or that of an earlier report."
        )
