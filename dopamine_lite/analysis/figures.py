"""Comparisons as figures: curves with bands, intervals, improvement, performance profiles.

Every function returns a `matplotlib.figure.Figure`, made with matplotlib's object interface. It does not
import pyplot or choose a backend, so a notebook keeps its own backend. There, `%matplotlib inline` shows
a figure at the end of a cell, and `figure.savefig("curves.svg")` writes one.
"""

from __future__ import annotations

import contextlib
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

# Eight colors that color-blind people can tell apart (Okabe and Ito 2008), darker ones first.
COLORS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C3C"),
)
_STYLES = ("-", "-.")  # a second round through the colors
_GREY = "0.45"
_PANEL = (5.6, 3.6)  # inches
_MOST_COLUMNS = 3
_LABEL_LETTERS = 44  # in a line of a row's label
_LEGEND_LETTERS = 72  # of a line in a legend
_LEGEND_LINE = 0.19  # inches
_FEWEST_REFERENCE = 3  # points of a published curve that a plot always shows
X_LABELS = {
    "agent_steps": "agent steps",
    "frames": "frames",
    "seconds": "seconds of training",
}
_STATISTICS = {"iqm": "interquartile mean", "mean": "mean", "median": "median"}


def draw_curves(
    curves: pd.DataFrame,
    references: pd.DataFrame | None = None,
    *,
    x: str = "agent_steps",
    y: str = "evaluation return",
    statistic: str = "mean",
    title: str | None = None,
) -> Figure:
    """Draws learning curves: a panel for each environment, with a line and a band for each group.

    Published results are dashed. The horizontal axis ends with the runs' own curves. Of a published
    curve it shows what lies within, and at least the first three points. A published result of a single
    point is a horizontal line.

    Args:
      curves: what `curves` returns.
      references: what `load_reference` returns; results for other environments are left out.
      x: what the horizontal axis counts: "agent_steps", "frames" or "seconds".
      y: the label of the vertical axis.
      statistic: the statistic of `curves`: "mean", "iqm" or "median".
      title: the title above all panels; None: no title.
    """
    environments = list(dict.fromkeys(curves["environment"]))
    colors = group_colors(curves["group"])
    published = _published(references, environments, x)
    styles = _reference_styles(published, colors)
    with new_figure(len(environments), title) as (figure, panels):
        for axes, environment in zip(panels, environments, strict=True):
            here = curves[curves["environment"] == environment]
            for group, points in here.groupby("group", sort=False):
                label = f"{group} ({_count(points['seeds'].iloc[0], 'seed')})"
                draw_band(axes, points, colors[str(group)], label)
            level = published[published["environment"] == environment]
            _draw_references(axes, level, here["x"].max(), styles)
            label_axes(axes, X_LABELS[x], y, environment)
        show_legend(figure, panels, _explanations(curves, published, statistic))
    return figure


def draw_intervals(table: pd.DataFrame, *, x: str = "score", title: str | None = None) -> Figure:
    """Draws interquartile mean, mean and median with their 95% intervals, in a row for each environment.

    Args:
      table: what `aggregate` returns.
      x: the label of the horizontal axes.
      title: the title above all panels; None: no title.
    """
    environments = list(dict.fromkeys(table["environment"]))
    colors = group_colors(table["group"])
    names = {group: _wrapped(str(group)) for group in table["group"].unique()}
    lines = sum(name.count("\n") + 1 for name in names.values())
    size = (3 * 2.6 + _label_width(names.values()), max(1.9, 0.9 + 0.32 * lines))
    with new_figure(3 * len(environments), title, size=size, columns=3, share_y=True) as made:
        figure, panels = made
        cells = [(where, name) for where in environments for name in _STATISTICS]
        for axes, (environment, name) in zip(panels, cells, strict=True):
            rows = table[(table["environment"] == environment) & (table["statistic"] == name)]
            labels = [f"{names[row.group]} ({row.seeds} seeds)" for row in rows.itertuples()]
            _draw_rows(axes, rows, labels, [colors[group][0] for group in rows["group"]])
            axes.set_title(_STATISTICS[name], fontsize="medium")
            axes.set_xlabel(x)
            if name == "iqm" and len(environments) > 1:
                axes.set_ylabel(environment)
        figure.legend(handles=_interval_legend(table), **_BELOW)
    return figure


def draw_improvement(table: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draws the probabilities that a run of one group scores higher than a run of another.

    Args:
      table: what `improvement` returns.
      title: the title above the plot; None: no title.
    """
    labels = [_pair(str(row.group), str(row.over)) for row in table.itertuples()]
    lines = sum(label.count("\n") + 1 for label in labels)
    size = (
        5.4 + _label_width(labels),
        max(2.0, 1.2 + 0.34 * len(table) + 0.15 * (lines - len(table))),
    )
    with new_figure(1, title, size=size) as (figure, (axes,)):
        _draw_rows(axes, table, labels, [COLORS[0]] * len(table))
        axes.axvline(0.5, color=_GREY, linestyle="--", linewidth=1)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel("P(a run of the first group scores higher)")
        even = Line2D([], [], color=_GREY, linestyle="--", label="0.5: neither is better")
        figure.legend(handles=[*_interval_legend(table), even], **_BELOW)
    return figure


def draw_profiles(
    table: pd.DataFrame, *, x: str = "normalized score", title: str | None = None
) -> Figure:
    """Draws performance profiles: the share of runs that score above each threshold.

    Args:
      table: what `profiles` returns.
      x: the name of the scores on the horizontal axis.
      title: the title above the plot; None: no title.
    """
    colors = group_colors(table["group"])
    with new_figure(1, title, size=(6.4, 4.2)) as (figure, (axes,)):
        for group, points in table.groupby("group", sort=False):
            label = f"{group} ({_count(points['environments'].iloc[0], 'environment')})"
            draw_band(axes, points.rename(columns={"threshold": "x"}), colors[str(group)], label)
        axes.set_ylim(-0.02, 1.02)
        label_axes(axes, f"threshold of the {x}", "share of runs above it")
        axes.xaxis.set_major_formatter("{x:g}")
        handles = [
            Patch(color=_GREY, alpha=0.2, label="95 % interval over seeds, at each threshold")
        ]
        show_legend(figure, [axes], handles)
    return figure


@contextlib.contextmanager
def new_figure(
    panels: int,
    title: str | None = None,
    size: tuple[float, float] = _PANEL,
    columns: int = _MOST_COLUMNS,
    share_y: bool = False,
) -> Iterator[tuple[Figure, Sequence[Axes]]]:
    """A figure with `panels` panels, to draw into in the block.

    Args:
      panels: the number of axes.
      title: the title above all panels; None: no title.
      size: the size in inches of one panel or, with `share_y`, of a row of panels.
      columns: the largest number of panels side by side.
      share_y: whether the panels of a row share their vertical axis.
    """
    # Names of runs and settings are never mathematics, even if they contain dollar signs.
    with matplotlib.rc_context({"text.parse_math": False, "text.usetex": False}):
        wide = min(panels, columns)
        rows = math.ceil(panels / wide)
        width = size[0] if share_y else size[0] * wide
        figure = Figure(figsize=(width, size[1] * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, wide, squeeze=False, sharey="row" if share_y else False)
        drawn = list(grid.flat)
        for axes in drawn[panels:]:
            axes.remove()
        if title:
            figure.suptitle(title)
        yield figure, drawn[:panels]


def group_colors(groups: pd.Series | Sequence[str]) -> dict[str, tuple[str, str]]:
    """A color and a line style for each group, in order of appearance."""
    names = dict.fromkeys(map(str, groups))
    return {
        name: (COLORS[index % len(COLORS)], _STYLES[index // len(COLORS) % len(_STYLES)])
        for index, name in enumerate(names)
    }


def draw_band(axes: Axes, points: pd.DataFrame, style: tuple[str, str], label: str) -> None:
    """A line and, if there is one, its band: columns x, value, low and high."""
    color, dashes = style
    marker = "o" if len(points) == 1 else None  # a line of one point would be invisible
    axes.plot(
        points["x"], points["value"], color=color, linestyle=dashes, marker=marker, label=label
    )
    axes.fill_between(
        points["x"], points["low"], points["high"], color=color, alpha=0.2, linewidth=0
    )


def label_axes(axes: Axes, x: str, y: str, title: str = "") -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.xaxis.set_major_formatter(thousands)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, fontsize="medium")


def thousands(value: float, _position: object = None) -> str:
    """ "250k", "1.5M": the most readable labels for an axis of steps."""
    for unit, letter in ((1_000_000, "M"), (1_000, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"


def show_legend(
    figure: Figure, panels: Sequence[Axes], explanations: Sequence[Artist] = ()
) -> None:
    """Puts each label once, then the `explanations`, below all panels; the figure grows to fit."""
    known: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            known.setdefault(label, handle)
    entries = [*known.values(), *explanations]
    labels = [*known, *(str(each.get_label()) for each in explanations)]
    width, height = figure.get_size_inches()
    letters = max(len(line) for label in labels for line in label.split("\n"))
    columns = max(1, min(len(entries), int(width / (0.075 * letters + 0.5))))
    lines = sum(label.count("\n") + 1 for label in labels)
    figure.set_size_inches(width, height + _LEGEND_LINE * -(-lines // columns))
    figure.legend(entries, labels, **(_BELOW | {"ncols": columns}))


def band_explanation(statistic: str) -> Patch:
    return Patch(
        color=_GREY, alpha=0.2, label=f"95 % bootstrap interval of the {statistic} over seeds"
    )


_BELOW = {"loc": "outside lower center", "fontsize": "small", "frameon": False, "ncols": 2}


def _explanations(curves: pd.DataFrame, published: pd.DataFrame, statistic: str) -> list[Artist]:
    """Legend entries that explain lines and bands."""
    name = _STATISTICS[statistic]
    handles: list[Artist] = [Line2D([], [], color=_GREY, label=f"{name} over seeds")]
    if curves["low"].notna().any():
        handles.append(band_explanation(name))
    for (reference, protocol), rows in published.groupby(["reference", "protocol"], sort=False):
        metrics = ", ".join(rows["metric"].unique())
        text = f"dashed: {reference}, published, {metrics}; protocol: {protocol}"
        label = "\n".join(textwrap.wrap(text, _LEGEND_LETTERS))
        handles.append(Line2D([], [], color=_GREY, linestyle="--", label=label))
    return handles


def _published(
    references: pd.DataFrame | None, environments: Sequence[str], x: str
) -> pd.DataFrame:
    """The published results in `environments` along `x`, without those that have no `x`."""
    columns = ["reference", "environment", "agent", "metric", "x", "value", "runs", "protocol"]
    if references is None or x not in references:
        return pd.DataFrame(columns=columns)
    here = references[references["environment"].isin(environments) & references[x].notna()]
    return here.assign(x=here[x]).sort_values("x", kind="stable")[columns]


def _reference_styles(
    published: pd.DataFrame, colors: Mapping[str, tuple[str, str]]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The style of each agent of each reference: its group's color, if there is such a group."""
    styles: dict[tuple[str, str], dict[str, Any]] = {}
    more = len(colors)
    for key, points in published.groupby(["reference", "agent"]):
        reference, agent = map(str, key)
        if agent in colors:
            color = colors[agent][0]
        else:
            color, more = COLORS[more % len(COLORS)], more + 1
        about = [] if np.isnan(points["runs"].min()) else [_count(points["runs"].min(), "run")]
        if points.groupby(["environment", "protocol", "metric"]).size().max() == 1:
            first, last = thousands(points["x"].min()), thousands(points["x"].max())
            about.append(f"at {first}" if first == last else f"at {first} to {last}")
        label = f"{agent}, {reference} ({', '.join(about)})" if about else f"{agent}, {reference}"
        style = {"color": color, "linestyle": "--", "linewidth": 1.2, "label": label}
        styles[reference, agent] = style
    return styles


def _draw_references(
    axes: Axes,
    published: pd.DataFrame,
    last: float,
    styles: Mapping[tuple[str, str], dict[str, Any]],
) -> None:
    """Draws dashed curves, and horizontal lines for results of one point."""
    if published.empty:
        return
    drawn = list(published.groupby(["reference", "agent", "protocol", "metric"], sort=False))
    ends = [each["x"].iloc[:_FEWEST_REFERENCE].max() for _, each in drawn if len(each) > 1]
    end = max([last, *ends])
    for key, points in drawn:
        style = styles[str(key[0]), str(key[1])]
        if len(points) == 1:
            axes.axhline(points["value"].iloc[0], **style)
        else:
            shown = points[points["x"] <= end]
            axes.plot(shown["x"], shown["value"], marker=".", markersize=4, **style)
    axes.set_xlim(0, 1.03 * end)


def _wrapped(label: str) -> str:
    """A row's label, in lines short enough to leave room for the row."""
    return "\n".join(textwrap.wrap(label, _LABEL_LETTERS, break_on_hyphens=False)) or label


def _pair(group: str, over: str) -> str:
    """The two groups that a row compares, on two lines if their names are long."""
    together = f"{group} > {over}"
    return together if len(together) <= _LABEL_LETTERS else f"{_wrapped(group)}\n> {_wrapped(over)}"


def _label_width(labels: Iterable[str]) -> float:
    """Inches that the longest line takes."""
    return 0.085 * max((len(line) for label in labels for line in label.split("\n")), default=0)


def _draw_rows(
    axes: Axes, rows: pd.DataFrame, labels: Sequence[str], colors: Sequence[str]
) -> None:
    """Draws a row for each estimate: a dot in its interval, or a hollow dot without one."""
    numbers = rows[["value", "low", "high"]].to_numpy(float)
    for place, ((value, low, high), color) in enumerate(zip(numbers, colors, strict=True)):
        has_interval = not np.isnan(low)
        if has_interval:
            bar: dict[str, Any] = {"linewidth": 5, "alpha": 0.35, "solid_capstyle": "butt"}
            axes.plot([low, high], [place, place], color=color, **bar)
        face = color if has_interval else "white"
        dot: dict[str, Any] = {"markerfacecolor": face, "markersize": 6, "clip_on": False}
        axes.plot(value, place, "o", color=color, **dot)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.grid(alpha=0.25, axis="x")
    axes.spines[["top", "right"]].set_visible(False)


def _interval_legend(table: pd.DataFrame) -> list[Artist]:
    handles: list[Artist] = []
    dot: dict[str, Any] = {"color": _GREY, "marker": "o", "linestyle": "none"}
    if table["low"].notna().any():
        handles.append(Line2D([], [], label="estimate", **dot))
        bar: dict[str, Any] = {"color": _GREY, "linewidth": 5, "alpha": 0.35}
        handles.append(Line2D([], [], label="95 % bootstrap interval over seeds", **bar))
    if table["low"].isna().any():
        label = "too few seeds for an interval"
        handles.append(Line2D([], [], label=label, markerfacecolor="white", **dot))
    return handles


def _count(number: float, noun: str) -> str:
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"
