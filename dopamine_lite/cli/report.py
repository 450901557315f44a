"""`dopamine-lite report`: a web page about runs, as a directory of files that opens offline."""

from __future__ import annotations

from pathlib import Path

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.printable import printable
from dopamine_lite.files.paths import user_path
from dopamine_lite.runner.directory import check_writable, find_runs

SUMMARY = "Makes a web page of runs that opens offline: curves, scores, settings, provenance."
POSITIONAL = (
    "DIRECTORY...: Directories with runs in or below them, or with a table of runs called "
    "curves.csv, like baselines/."
)
EXAMPLE = "dopamine-lite report runs/study --output runs/site"
_TABLE = "curves.csv"


def define_flags(flag_values: flags.FlagValues) -> None:
    flags.DEFINE_string(
        "output",
        None,
        "A directory for the page. A later report to the same directory replaces it. Required.",
        flag_values=flag_values,
    )
    flags.DEFINE_string(
        "title",
        None,
        "The title of the page. Default: the names of the directories.",
        flag_values=flag_values,
    )
    flags.DEFINE_multi_string(
        "by",
        [],
        "What to group runs by: agent, config, processor and so on, or a setting such as "
        "Adam.learning_rate. Default: everything in which they differ.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues, arguments: list[str]) -> None:
    if not arguments:
        raise UserError(
            "A directory is missing: name a directory with runs, such as "
            "`dopamine-lite report runs --output site`."
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
    """The table in a directory of collected results; None: there is no table, or there are runs."""
    table = path / _TABLE
    return table if table.is_file() and not any(find_runs(path)) else None


def _output(name: str | None) -> Path:
    """The directory that --output names; raises UserError if it cannot be made or replaced."""
    if not name:
        raise UserError("--output is missing: name the page's directory, such as --output site.")
    output = user_path(name)
    if output.is_symlink():
        raise UserError(
            f"--output {output} is a link, and links are not followed: name a directory."
        )
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output} is a file: name a directory.")
    if output.is_dir():
        if Path.cwd().is_relative_to(output.resolve()):
            raise UserError(f"--output {output} is the current directory: name a directory in it.")
        if output.is_mount():
            raise UserError(
                f"--output {output} is a mount point and cannot be replaced: name a directory in "
                "it."
            )
        check_writable(output.parent, f"give another --output than {output}")
    else:
        run_directory.check_output(output)
    return output


def _check_replaceable(output: Path) -> None:
    """Raises UserError if anything but a report would be lost."""
    from dopamine_lite.analysis.report import site

    if output.is_dir() and (other := site.what_is_no_report(output)):
        raise UserError(
            f"--output {output} holds something that is not part of a report ({other}): name a new "
            "or an empty directory, or the directory of an earlier report."
        )
