"""Draws the speed of dopamine_lite beside other frameworks from benchmarks/peers/speed.csv.

python tools/figures/speed.py             # draws docs/pictures/speed.svg
python tools/figures/speed.py --check     # fails if the figure is not of today's measurements or code

A bar is the median over the rounds of the ratios of two windows in the same round; a gray line reaches
from the lowest to the highest ratio.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
sys.path += [str(Path(__file__).parent), str(ROOT / "benchmarks" / "peers")]

import curves
import page
from matplotlib import pyplot
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from measure import SPEED, TRIAL
from rows import read
from workloads import WORKLOADS

PICTURE = ROOT / "docs" / "pictures" / "speed.svg"
_COLORS = {
    "sb3": "#0072B2",
    "sbx": "#56B4E9",
    "tianshou": "#009E73",
    "cleanrl": "#E69F00",
    "dopamine": "#D55E00",
}
_TICKS = (0.5, 1, 2, 4, 8, 16)


class Bar(NamedTuple):
    """A training loop, a framework, and dopamine_lite's speed divided by the framework's."""

    workload: str
    peer: str
    ratios: tuple[float, ...]


def bars() -> list[Bar]:
    """In the order of the table."""
    measured = [row for row in read(SPEED) if row["round"] not in ("", str(TRIAL))]
    found = []
    for key, workload in WORKLOADS.items():
        for peer in workload.peers if workload.settings else ():
            rows = [row for row in measured if (row["workload"], row["peer"]) == (key, peer)]
            if rows:
                found.append(Bar(key, peer, tuple(page.ratios(rows, measured))))
    return found


def digest(shown: Sequence[Bar]) -> str:
    names = [(page.NAMES[bar.peer], WORKLOADS[bar.workload].title) for bar in shown]
    return curves.digest_of(repr((shown, names, _COLORS, _TICKS)), save)


def is_current() -> bool:
    return PICTURE.exists() and digest(bars()) in PICTURE.read_text(encoding="utf-8")


def save(shown: Sequence[Bar]) -> None:
    """Writes the SVG, the same bytes from the same numbers."""
    with pyplot.style.context(curves.STYLE):
        heights, places, height = [], {}, 0.0
        for number, bar in enumerate(shown):
            height += 0.7 if number and shown[number - 1].workload != bar.workload else 0.0
            heights.append(height)
            places.setdefault(bar.workload, []).append(height)
            height += 1.0
        figure, axes = pyplot.subplots(figsize=(7.2, 0.9 + 0.2 * height))
        for bar, y in zip(shown, heights, strict=True):
            middle = statistics.median(bar.ratios)
            color = _COLORS[bar.peer.partition("_")[0]]
            hatch = "///" if "_" in bar.peer else None
            axes.barh(
                y,
                middle - 1,
                left=1,
                height=0.85,
                color=color,
                hatch=hatch,
                edgecolor="none",
                alpha=0.7,
            )
            axes.plot([min(bar.ratios), max(bar.ratios)], [y, y], color="#606060", linewidth=1.5)
            axes.annotate(
                f"{middle:.2f}" if middle < 10 else f"{middle:.1f}",
                (max(middle, *bar.ratios, 1), y),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.axvline(1, color="#808080", linewidth=1)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_xlim(0.5, 1.35 * max(max(bar.ratios) for bar in shown))
        axes.set_xlabel("speed of dopamine_lite / speed of the other framework")
        axes.set_yticks(
            [statistics.mean(rows) for rows in places.values()],
            [WORKLOADS[key].title.replace(", settings", ",\nsettings") for key in places],
        )
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.grid(visible=False, axis="y")
        axes.set_ylim(height, -1)  # the first at the top
        peers = dict.fromkeys(bar.peer for bar in shown)
        handles = [
            Patch(
                facecolor=_COLORS[peer.partition("_")[0]],
                alpha=0.7,
                hatch="///" if "_" in peer else None,
                label=page.NAMES[peer],
            )
            for peer in peers
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(len(handles), 5))
        metadata = {"Date": None, "Creator": None, "Identifier": digest(shown)}
        figure.savefig(PICTURE, metadata=metadata)
        pyplot.close(figure)


def main(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--check"]:
        if is_current():
            return 0
        print("speed.svg: not of today's measurements or code; run python tools/figures/speed.py")
        return 1
    save(bars())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
