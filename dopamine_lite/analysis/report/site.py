"""The report page as files: a template, the data in it, Plotly's JavaScript and tables beside it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import plotly.offline

import dopamine_lite

TABLES = (
    *("aggregates.csv", "scores.csv", "profiles.csv", "curves.csv", "iterations.csv", "runs.csv"),
)
PAGE = "index.html"
_STYLE, _SCRIPT, _PLOTLY = "report.css", "report.js", "plotly.min.js"
_FILES = {PAGE, _STYLE, _SCRIPT, _PLOTLY, *TABLES}
_GENERATOR = "dopamine-lite report"
_MARK = f'<meta name="generator" content="{_GENERATOR}">'
_HEAD = 2_000  # bytes at the start of a page that hold its mark
_DIGITS = 4  # of a number on the page


def write_site(
    directory: Path, document: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
) -> None:
    """Writes the page and what it needs into `directory`, which exists and is empty.

    Args:
      directory: the site's directory. Its index.html opens without anything else, and offline.
      document: the document that `document.build` makes.
      tables: the tables that the page links to, by file name; some of `TABLES`.
    """
    (directory / PAGE).write_text(render(document), encoding="utf-8")
    for name in (_STYLE, _SCRIPT):
        (directory / name).write_text(_packaged(name), encoding="utf-8")
    (directory / _PLOTLY).write_text(plotly.offline.get_plotlyjs(), encoding="utf-8")
    for name, table in tables.items():
        assert name in TABLES
        table.to_csv(directory / name, index=False, float_format="%.6g")


def render(document: Mapping[str, Any]) -> str:
    """The page of `document`. Its texts may come from a stranger, so none becomes HTML or script."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters["number"] = _number
    template = environment.get_template("page.html.j2")
    return template.render(
        document=document, generator=_GENERATOR, version=dopamine_lite.__version__
    )


def what_is_no_report(directory: Path) -> str | None:
    """The name of something in `directory` that is not part of a report; None: there is no such thing.

    A directory that is empty, or that holds only a report, may be replaced by a new report.
    """
    entries = sorted(directory.iterdir())
    for entry in entries:
        if entry.name not in _FILES or entry.is_symlink() or not entry.is_file():
            return entry.name
    page = directory / PAGE
    if entries and not (page in entries and _is_marked(page)):
        return entries[0].name
    return None


def _is_marked(page: Path) -> bool:
    with page.open("rb") as file:
        return _MARK.encode() in file.read(_HEAD)


def _packaged(name: str) -> str:
    """The text of a file next to this module."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _number(value: float) -> str:
    """The number with four digits, without an exponent and with a true minus sign."""
    text = f"{value:,.{max(0, _DIGITS - _whole_digits(value))}f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _whole_digits(value: float) -> int:
    return len(str(int(abs(value))))
