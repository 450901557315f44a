"""Writes docs/results/final.md, and the tables of results in other documents, from the CSV files here.

python baselines/tables.py

In another document a table stands between `<!-- results: NAME -->` and `<!-- end of results -->`, and is
written anew. A test fails where a document is not what this program makes of the files.
"""

from __future__ import annotations

import csv
import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import collect

ROOT = HERE.parent
RESULTS = "docs/results/final.md"
_AGENTS = {  # by the directory of their configs
    "dqn": "DQN",
    "c51": "C51",
    "qr_dqn": "QR-DQN",
    "iqn": "IQN",
    "rainbow": "Rainbow",
    "pqn": "PQN",
    "ppo": "PPO",
    "sac": "SAC",
}
_EARLIER_VERSIONS = {  # of environments, which published results are of
    "LunarLander-v3": "LunarLander-v2",
    "LunarLanderContinuous-v3": "LunarLanderContinuous-v2",
}
_PUBLISHED = ("rl_zoo", "cleanrl", "minatar")  # the first that has a value is quoted
_BLOCK = re.compile(r"(<!-- results: (\w+) -->\n).*?(<!-- end of results -->)", re.DOTALL)
_SHORTENED = re.compile(r"(Runner\.num_iterations = \d+)?")  # of bindings
_HEADINGS = {  # of sections, by what environments' names begin with; the last takes the rest
    "Classic control and Box2D": (
        *("CartPole", "Acrobot", "MountainCar", "Pendulum", "LunarLander", "BipedalWalker"),
    ),
    "MinAtar": ("MinAtar/",),
    "Small worlds": ("GridWorld", "CliffWalking", "RocketLander", "MaximisationBias"),
    "Atari": ("",),
}
_INTRODUCTION = """\
# Results

This page is written by `python baselines/tables.py` from
`baselines/final.csv`, which has a line for each run with its seed,
commit, protocol, processor and time; nothing here is typed by hand.

*Evaluation* is the mean return of 100 episodes of the evaluation policy at the last checkpoint,
*training* the mean return of the last iteration's training episodes. Both are means over seeds,
each with Student's 95 % interval, which takes the seeds' means as normal and can reach beyond the
highest possible return. Where all seeds agree the interval has no width, which says nothing about
other seeds. *Lowest, highest* are the evaluations of single seeds. *Hours a run* include its
evaluations. They are hours by the clock, on the processor named, whose cores other work may have
shared, so they are no measure of speed. They are missing where they were not kept.

A published value stands beside ours where one is known for the agent and the environment. It is an
evaluation return unless it says "training", and usually comes from a single run. "Ours is below it"
marks a mean whose whole interval lies below the published value; no such difference has been
explained yet. The protocols of published values are in
`baselines/published` and are seldom quite ours.

To repeat a line: `dopamine-lite train --base_dir D --gin_files CONFIG --seed S`, then
`dopamine-lite evaluate --base_dir D --episodes 100`. To repeat a suite: `make baselines-classic`;
`make baselines` names the others.

What prioritized replay draws from was corrected in commit 9c998fd. Rows of `rainbow/` configs that
earlier commits have made are from before the correction: their seeds give other numbers now.
"""


class Group(NamedTuple):
    """The runs of one line: one config in one environment, a row of final.csv for each seed."""

    config: str
    environment: str
    bindings: str
    rows: list[dict[str, str]]

    @property
    def agent(self) -> str | None:
        """As the field calls it; None for configs that are not of an agent's directory."""
        return _AGENTS.get(self.config.partition("/")[0])

    def values(self, column: str) -> list[float]:
        return [float(row[column]) for row in self.rows if row[column]]


def main() -> None:
    for path, text in documents().items():
        (ROOT / path).write_text(text, encoding="utf-8")


def documents() -> dict[str, str]:
    """Every document with results in it, as it should be, by its path."""
    groups = _groups()
    made = {RESULTS: _results(groups)}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if name != RESULTS and _BLOCK.search(text):
            made[name] = _BLOCK.sub(lambda found: _filled(found, groups), text)
    return made


def _filled(found: re.Match[str], groups: list[Group]) -> str:
    rows = _TABLES[found[2]](groups)
    return f"{found[1]}\n{_markdown(rows)}\n{found[3]}"


def _groups() -> list[Group]:
    with (HERE / "final.csv").open(newline="") as file:
        rows = [dict.fromkeys(collect.FINAL, "") | row for row in csv.DictReader(file)]
    found: dict[tuple[str, str, str], Group] = {}
    for row in rows:
        key = row["config"], row["environment"], row["bindings"]
        found.setdefault(key, Group(*key, [])).rows.append(row)
    return list(found.values())


def _results(groups: list[Group]) -> str:
    parts = [_INTRODUCTION]
    left = groups
    for heading, beginnings in _HEADINGS.items():
        section = [group for group in left if group.environment.startswith(beginnings)]
        left = [group for group in left if group not in section]
        parts.append(f"## {heading}\n")
        for environment in dict.fromkeys(group.environment for group in section):
            rows = [group for group in section if group.environment == environment]
            parts.append(f"### {environment}\n\n{_markdown(_lines(rows))}")
    return "\n".join(parts)


def _lines(groups: Sequence[Group]) -> Iterator[list[str]]:
    """The table of an environment, its heading first."""
    yield [
        *("config", "agent steps", "seeds", "evaluation", "lowest, highest", "training"),
        *("published", "hours a run", "commits"),
    ]
    for group in groups:
        bound = f" with `{group.bindings}`" if group.bindings else ""
        evaluations = group.values("evaluation_return")
        span = f"{min(evaluations):,.1f}, {max(evaluations):,.1f}" if len(evaluations) > 1 else ""
        yield [
            f"`{group.config}`{bound}",
            _range([float(row["agent_steps"]) for row in group.rows], 0),
            str(len(group.rows)),
            _mean(evaluations),
            span,
            _mean(group.values("last_train_return")),
            _published(group),
            _hours(group),
            ", ".join(dict.fromkeys(row["commit"][:7] for row in group.rows if row["commit"])),
        ]


def _overview(groups: list[Group]) -> Iterator[list[str]]:
    """Mean evaluation of the agents on the environments that most have been run on."""
    environments = ("CartPole-v1", "Acrobot-v1", "LunarLander-v3")
    yield ["", *environments]
    for agent in _AGENTS.values():
        cells = []
        for environment in environments:
            cells.append("")
            for group in groups:
                if (group.agent, group.environment, group.bindings) == (agent, environment, ""):
                    seeds, steps = len(group.rows), int(group.rows[0]["agent_steps"])
                    mean = _mean(group.values("evaluation_return"))
                    cells[-1] = f"{mean}, {seeds} seeds, {steps:,} steps"
        if any(cells):
            yield [agent, *cells]


def _of_agent(groups: list[Group], beginning: str) -> Iterator[list[str]]:
    """What an agent's page shows of its configs, which begin so, as they are or shortened."""
    yield ["environment", "agent steps", "evaluation", "training", "published"]
    for group in groups:
        if group.config.startswith(beginning) and _SHORTENED.fullmatch(group.bindings):
            seeds = "1 seed" if len(group.rows) == 1 else f"{len(group.rows)} seeds"
            steps = _range([float(row["agent_steps"]) for row in group.rows], 0)
            yield [
                *(group.environment, f"{steps}, {seeds}"),
                _mean(group.values("evaluation_return")),
                _mean(group.values("last_train_return")),
                _published(group),
            ]


_TABLES: dict[str, Callable[[list[Group]], Iterator[list[str]]]] = {"overview": _overview} | {
    name: functools.partial(_of_agent, beginning=f"{name}/") for name in _AGENTS
}
_TABLES["reinforce"] = functools.partial(_of_agent, beginning="classics/reinforce_")


def _published(group: Group) -> str:
    """A published value of the agent in the environment, and whether ours is below it."""
    from dopamine_lite.analysis.published import load_reference

    environments = (group.environment, _EARLIER_VERSIONS.get(group.environment))
    for name in _PUBLISHED if group.agent and not group.bindings else ():
        table = load_reference(name)
        found = table[table["environment"].isin(environments) & (table["agent"] == group.agent)]
        if found.empty:
            continue
        steps = float(group.rows[0]["agent_steps"])
        row = found.loc[(found["agent_steps"] - steps).abs().idxmin()]
        kind = "training, " if row["metric"] == "training return" else ""
        runs = f"{row['runs']:.0f} {'run' if row['runs'] == 1 else 'runs'}"
        where = "" if row["environment"] == group.environment else f", {row['environment']}"
        values = group.values("last_train_return" if kind else "evaluation_return")
        below = "; ours is below it" if _is_below(values, row["value"]) else ""
        of = f"{kind}{name}, {runs}, {row['agent_steps']:,.0f} steps{where}"
        return f"{row['value']:,.1f} ({of}){below}"
    return ""


def _hours(group: Group) -> str:
    processors = dict.fromkeys(row["processor"] for row in group.rows if row["processor"])
    hours = _range(group.values("hours"), 2)
    return f"{hours} ({', '.join(processors)})" if processors else hours


def _is_below(values: list[float], published: float) -> bool:
    """Whether the whole interval is; of one run, whether its number is."""
    return bool(values) and collect.bounds(values)[1] < published


def _mean(values: list[float]) -> str:
    return collect.interval(values) if values else ""


def _range(values: Sequence[float], digits: int) -> str:
    """The number, or the least and the greatest of different ones."""
    texts = [f"{value:,.{digits}f}" for value in (min(values), max(values))] if values else []
    return " to ".join(dict.fromkeys(texts))


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *lines = rows
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *lines))


if __name__ == "__main__":
    main()
