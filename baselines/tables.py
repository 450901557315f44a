"""Writes the tables of results in the documents from the CSV files here.

python baselines/tables.py

A table stands between `<!-- results: NAME -->` and `<!-- end of results -->`, and is written anew. NAME
is one of `_TABLES`, or a section: an environment, but for the exceptions of `section_of`. A test fails
where a document is not what this program makes of the files.
"""

from __future__ import annotations

import csv
import functools
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import collect

ROOT = HERE.parent
BLOCK = re.compile(r"(<!-- results: (.+?) -->\n).*?(<!-- end of results -->)", re.DOTALL)
RANDOM = "Random"
_AGENTS = {  # by the directory of their configs, as the field calls them
    "dqn": "DQN",
    "c51": "C51",
    "qr_dqn": "QR-DQN",
    "iqn": "IQN",
    "rainbow": "Rainbow",
    "pqn": "PQN",
    "ppo": "PPO",
    "sac": "SAC",
}
_OTHERS = {  # by what the names of their configs begin with, the page of the agent beside it
    "classics/reinforce": ("REINFORCE", "agents/reinforce.md"),
    "classics/q_learning": ("Q-learning", "agents/tabular.md"),
    "classics/double_q": ("Double Q-learning", "agents/tabular.md"),
    "classics/sarsa": ("Sarsa", "agents/tabular.md"),
    "classics/dqn_boltzmann": ("DQN, Boltzmann policy", "classics/11_boltzmann_cartpole.md"),
    "classics/dqn": ("DQN", "agents/dqn.md"),
    "classics/ppo_kl": ("PPO, KL penalty", "agents/ppo.md"),
    "classics/switching": ("Switching agent", "classics/01_agent_from_scratch.md"),
    "random/": (RANDOM, "results/index.md#random-play"),
}
_VARIANTS = {  # by a part of the bindings
    "PPOAgent.gae_lambda = 1.0": "λ = 1",
    "CategoricalPolicy.gain = 0.01": "six actions, small gain",
    "DoubleQLearningAgent.learning_rate_decay_period = None": "constant alpha",
    "Runner.policy_lag = 0": "no lag",
    "Runner.policy_lag = 1": "lag of one block",
    "'continuous': False": "discrete actions",
    "SmallCNN.precision = 'float32'": "SmallCNN in float32",
    "SmallCNN.precision = 'bfloat16'": "SmallCNN in bfloat16",
}
_EARLIER_VERSIONS = {  # of environments, which published results are of
    "LunarLander-v3": "LunarLander-v2",
    "LunarLanderContinuous-v3": "LunarLanderContinuous-v2",
}
_SOURCES = {  # of published values
    "rl_zoo": "RL Zoo",
    "cleanrl": "CleanRL",
    "minatar": "Young and Tian",
    "dopamine": "Dopamine",
}
_CLASSIC = {  # environments of the overview: the page, and the heading there
    "CartPole-v1": "[CartPole](classic_control.md#cartpole-v1)",
    "Acrobot-v1": "[Acrobot](classic_control.md#acrobot-v1)",
    "LunarLander-v3": "[LunarLander](classic_control.md#lunarlander-v3)",
}
_MINATAR = {
    "MinAtar/Asterix": "[Asterix](minatar.md#asterix)",
    "MinAtar/Breakout": "[Breakout](minatar.md#breakout)",
    "MinAtar/SpaceInvaders": "[Space Invaders](minatar.md#space-invaders)",
}
_CONTINUOUS = {
    "Pendulum-v1": "[Pendulum](classic_control.md#pendulum-v1)",
    "MountainCarContinuous-v0": (
        "[MountainCarContinuous](classic_control.md#mountaincarcontinuous-v0)"
    ),
    "LunarLanderContinuous-v3": (
        "[LunarLanderContinuous](classic_control.md#lunarlandercontinuous-v3)"
    ),
    "RocketLander-v0": "[RocketLander](small_worlds.md#rocketlander-v0)",
}
_UNFINISHED = {  # configs of unfinished.csv, and whom dopamine_legacy.csv has beside them
    "dqn/atari.gin": ("DQN", "DQN (Adam + MSE in JAX)"),
    "rainbow/atari.gin": ("Rainbow", "Rainbow"),
}
_SHORTENED = re.compile(r"(Runner\.num_iterations = \d+)?")  # of bindings
_GAMES = ("Asterix", "Breakout", "Pong", "SpaceInvaders")


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

    @property
    def name(self) -> str:
        """The agent, and what distinguishes it from others in the same environment."""
        variants = [name for part, name in _VARIANTS.items() if part in self.bindings]
        return ", ".join([self._named[0], *variants])

    @property
    def page(self) -> str:
        """The agent's page below docs/."""
        return self._named[1]

    @property
    def _named(self) -> tuple[str, str]:
        if self.agent:
            return self.agent, f"agents/{self.config.partition('/')[0]}.md"
        return next(each for start, each in _OTHERS.items() if self.config.startswith(start))

    def values(self, column: str) -> list[float]:
        return [float(row[column]) for row in self.rows if row[column]]


def main() -> None:
    for path, text in documents().items():
        (ROOT / path).write_text(text, encoding="utf-8")


def documents() -> dict[str, str]:
    """Every document with results in it, as it should be, by its path."""
    found, made = groups(), {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if BLOCK.search(text):
            filled = BLOCK.sub(
                lambda block: f"{block[1]}\n{_block(block[2], found)}\n{block[3]}", text
            )
            made[path.relative_to(ROOT).as_posix()] = filled
    return made


def groups() -> list[Group]:
    """Of all rows of final.csv, in its order."""
    found: dict[tuple[str, str, str], Group] = {}
    for row in _rows("final.csv"):
        row = dict.fromkeys(collect.FINAL, "") | row
        key = row["config"], row["environment"], row["bindings"]
        found.setdefault(key, Group(*key, [])).rows.append(row)
    return list(found.values())


def section_of(group: Group) -> str:
    """The table and the figure that the runs belong to: of one environment under one protocol."""
    if "Runner.policy_lag" in group.bindings:
        return "one actor"  # in any environment
    if "SmallCNN.precision" in group.bindings:
        return "precision"
    compared = ("gae_lambda", "decay_period = None", "CategoricalPolicy.gain")
    if any(setting in group.bindings for setting in compared):
        return "classics"  # what a page of the classics compares its experiment with
    if group.environment == "CartPole-v1" and "steps_per_episode 200" in group.rows[0]["protocol"]:
        return "CartPole-v1, 200 steps"
    return group.environment


def _rows(name: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(file))


def _block(name: str, found: list[Group]) -> str:
    if name in _TABLES:
        return _TABLES[name](found)
    return section(in_order(found, name))


def in_order(found: Iterable[Group], name: str) -> list[Group]:
    """The groups of a section: the agents as in `_AGENTS`, then others, then the random agent."""
    order = [*_AGENTS.values(), "", RANDOM]

    def place(group: Group) -> tuple[int, str]:
        agent, _, variant = group.name.partition(", ")
        return order.index(agent if agent in order else ""), variant

    return sorted((group for group in found if section_of(group) == name), key=place)


def section(ordered: Sequence[Group]) -> str:
    """The table of an environment, the protocols of published values, and the commands."""
    parts = [_markdown(_without_empty_columns(lines(ordered)))]
    if notes := _notes(ordered):
        parts.append(notes)
    commands = "\n\n".join(_commands(group) for group in ordered)
    parts.append(
        "<details markdown>\n<summary>The commands that repeat these rows</summary>\n\n"
        f"```text\n{commands}\n```\n\n</details>\n"
    )
    return "\n".join(parts)


def lines(chosen: Sequence[Group]) -> Iterator[list[str]]:
    """The table of an environment, its heading first."""
    yield [
        *("agent", "agent steps", "evaluation", "lowest, highest", "training", "published"),
    ]
    mixed = len({group.environment for group in chosen}) > 1
    for group in chosen:
        name = f"{group.environment}: {group.name}" if mixed else group.name
        evaluations = group.values("evaluation_return")
        span = f"{min(evaluations):,.1f}, {max(evaluations):,.1f}" if len(evaluations) > 1 else ""
        is_random = group.name == RANDOM
        steps = _range([float(row["agent_steps"]) for row in group.rows], 0)
        yield [
            f"[{name}](../{group.page})".replace("../results/", ""),
            "" if is_random else f"{steps}<br>{_seeds(group)}",
            _in_two_lines(_evaluation(group)),
            span,
            "" if is_random else _in_two_lines(_mean(group.values("last_train_return"))),
            "<br>".join(_published_cells(group)),
        ]


def _seeds(group: Group) -> str:
    return "1 seed" if len(group.rows) == 1 else f"{len(group.rows)} seeds"


def _in_two_lines(mean: str) -> str:
    """A mean, and its interval in the next line of the cell, which does not break."""
    value, bracket, interval = mean.partition(" (")
    return f"{value}<br>({interval}".replace(" ", "\u00a0") if bracket else mean


def _evaluation(group: Group) -> str:
    """Mean and interval over seeds; of a single run, over its episodes where that is known."""
    values = group.values("evaluation_return")
    low, high = group.values("evaluation_low"), group.values("evaluation_high")
    if len(values) == 1 and low and high:
        return f"{values[0]:.1f} (games: {_rounded(low[0])} to {_rounded(high[0])})"
    return _mean(values)


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}"


def _title(environment: str) -> str:
    """A game's name as its makers write it."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", environment)


def _published(group: Group) -> list[dict[str, Any]]:
    """Published values of the agent in the environment: of each source, the nearest in steps."""
    from dopamine_lite.analysis.published import load_reference

    environments = (group.environment, _EARLIER_VERSIONS.get(group.environment))
    found = []
    for name in ("rl_zoo", "cleanrl", "minatar") if group.agent and not group.bindings else ():
        table = load_reference(name)
        rows = table[table["environment"].isin(environments) & (table["agent"] == group.agent)]
        if not rows.empty:
            distance = (rows["agent_steps"] - float(group.rows[0]["agent_steps"])).abs()
            found.append(rows.loc[distance.idxmin()].to_dict())
    return found


def _published_cells(group: Group) -> Iterator[str]:
    for row in _published(group):
        is_training = row["metric"] == "training return"
        kind = "training, " if is_training else ""
        where = "" if row["environment"] == group.environment else f", {row['environment']}"
        values = group.values("last_train_return" if is_training else "evaluation_return")
        below = "; ours is lower" if _is_below(values, row["value"]) else ""
        source = _SOURCES[row["reference"]]
        yield (
            f"{row['value']:,.1f} ({kind}{source}, {row['agent_steps']:,.0f} steps{where}){below}"
        )


def _notes(chosen: Iterable[Group]) -> str:
    """A line for each source of published values: what it is, how many runs, and the protocol."""
    rows = [row for group in chosen for row in _published(group)]
    notes = dict.fromkeys(_note(row) for row in rows)
    return _bullets(sorted(notes))


def _note(row: dict[str, Any]) -> str:
    runs = f"{row['runs']:.0f} {'run' if row['runs'] == 1 else 'runs'}"
    repository = row["source"].split()[0]
    return (
        f"{_SOURCES[row['reference']]}: {row['metric']} of {runs} by {repository}. "
        f"Protocol: {row['protocol']}."
    )


def _bullets(notes: Iterable[str]) -> str:
    texts = (textwrap.fill(f"* {note}", 120, subsequent_indent="  ") for note in notes)
    return "".join(f"{text}\n" for text in texts)


def _commands(group: Group) -> str:
    """What trains and evaluates the first of the seeds."""
    seeds = [row["seed"] for row in group.rows]
    game = ""
    directory = group.config.removesuffix(".gin").replace("/", "_")
    if group.environment.startswith("MinAtar/"):
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", group.environment.removeprefix("MinAtar/"))
        game, directory = (
            f'MinAtarEnvironment.game = "{name.lower()}"',
            f"{directory}_{name.lower()}",
        )
    elif group.config.endswith("/atari.gin"):
        game = f'AtariEnvironment.game = "{group.environment}"'
        directory = f"{directory}_{group.environment.lower()}"
    bindings = [game] if game else []
    bindings += group.bindings.split("; ") if group.bindings else []
    flags = "".join(f" --gin_bindings {_quoted(binding)}" for binding in bindings)
    told = [f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"]
    if hours := _hours(group):
        told.append(f"{hours} hours each with evaluations")
    return (
        f"# {group.name}: {', '.join(told)}\n"
        f"dopamine-lite train --base_dir runs/{directory} --gin_files {group.config}{flags} "
        f"--seed {seeds[0]}\n"
        f"dopamine-lite evaluate --base_dir runs/{directory} --episodes {collect.EPISODES}"
    )


def _quoted(binding: str) -> str:
    return f"'{binding}'" if '"' in binding else f'"{binding}"'


def _hours(group: Group) -> str:
    processors = dict.fromkeys(row["processor"] for row in group.rows if row["processor"])
    hours = _range(group.values("hours"), 2)
    return f"{hours} ({', '.join(processors)})" if processors else hours


def _overview(found: list[Group]) -> str:
    """Mean evaluation of the agents on the environments that most have been run on."""
    environments = tuple(_CLASSIC)
    rows = [["", *environments]]
    for agent in _AGENTS.values():
        cells = []
        for environment in environments:
            cells.append("")
            if group := _plain(found, agent, environment):
                steps = int(group.rows[0]["agent_steps"])
                mean = _mean(group.values("evaluation_return"))
                cells[-1] = f"{mean}, {len(group.rows)} seeds, {steps:,} steps"
        if any(cells):
            rows.append([agent, *cells])
    return _markdown(rows)


def _plain(found: list[Group], agent: str, environment: str) -> Group | None:
    """The runs of an agent in an environment with its config as it is."""
    for group in found:
        if (group.agent, section_of(group), group.bindings) == (agent, environment, ""):
            return group
    return None


def _across(environments: dict[str, str], found: list[Group]) -> str:
    """A row an agent: its mean evaluation in each environment. Above the agents: how many seeds."""
    rows, seeds = [["", *environments.values()]], []
    for directory, agent in _AGENTS.items():
        chosen = [_plain(found, agent, environment) for environment in environments]
        if any(chosen):
            means = [_mean(group.values("evaluation_return")) if group else "" for group in chosen]
            cells = map(_in_two_lines, means)
            seeds += [len(group.rows) for group in chosen if group]
            rows.append([f"[{agent}](../agents/{directory}.md)", *cells])
    rows[0][0] = f"{_range(seeds, 0)} seeds"
    return _markdown(rows)


def _of_agent(found: list[Group], beginning: str) -> str:
    """What an agent's page shows of its configs, which begin so, as they are or shortened."""
    rows = [["environment", "agent steps", "evaluation", "training", "published"]]
    for group in found:
        if group.config.startswith(beginning) and _SHORTENED.fullmatch(group.bindings):
            steps = _range([float(row["agent_steps"]) for row in group.rows], 0)
            rows.append(
                [
                    *(group.environment, f"{steps}, {_seeds(group)}"),
                    _in_two_lines(_mean(group.values("evaluation_return"))),
                    _in_two_lines(_mean(group.values("last_train_return"))),
                    "<br>".join(_published_cells(group)),
                ]
            )
    return _markdown(rows)


def _random(found: list[Group]) -> str:
    """Random agents, with intervals over games, beside the random scores of others."""
    from dopamine_lite.analysis.published import human_scores

    published = human_scores().set_index("environment")["low"]
    rows = [["game", "dopamine_lite", "published"]]
    for group in found:
        if group.name == RANDOM:
            columns = ("evaluation_return", "evaluation_low", "evaluation_high")
            mean, low, high = (f"{group.values(column)[0]:.3g}" for column in columns)
            theirs = f"{published[group.environment]:g}"
            rows.append([_title(group.environment), f"{mean} ({low} to {high})", theirs])
    return _markdown(rows)


def _unfinished(_: list[Group]) -> str:
    """Training returns of runs that are not finished, beside Dopamine's."""
    from dopamine_lite.analysis.published import load_reference

    table = load_reference("dopamine_legacy")
    ours = {(row["config"], int(row["agent_steps"])): row for row in _rows("unfinished.csv")}
    rows = [
        [
            "agent steps",
            *(
                f"{whose}{name}"
                for name, _ in _UNFINISHED.values()
                for whose in ("", "Dopamine's ")
            ),
        ]
    ]
    for steps in sorted({steps for _, steps in ours}):
        cells = [f"{steps:,}"]
        for config, (_, theirs) in _UNFINISHED.items():
            row = ours.get((config, steps))
            cells.append(f"{float(row['train_return']):.2f}" if row else "")
            where = (table["agent"] == theirs) & (table["environment"] == "Pong")
            points = table[where & (table["agent_steps"] == steps)]
            cells += [
                f"{p.value:.2f} ({p.low:.2f} to {p.high:.2f})" for p in points.itertuples()
            ] or [""]
        rows.append(cells)
    return _markdown(rows)


def _published_atari(_: list[Group]) -> str:
    """What others' agents reach in the games of the Atari page, with protocols below."""
    from dopamine_lite.analysis.published import load_reference

    rows, notes = [["", "agent steps", "runs", *map(_title, _GAMES)]], []
    for name in ("dopamine", "rl_zoo", "cleanrl"):
        table = load_reference(name)
        for agent in ("DQN", "Rainbow", "PPO"):
            here = table[(table["agent"] == agent) & table["environment"].isin(_GAMES)]
            if here.empty:
                continue
            last = here[here["agent_steps"] == here["agent_steps"].max()]
            values = last.set_index("environment")["value"]
            cells = [f"{values[game]:,.1f}" if game in values else "" for game in _GAMES]
            runs = sorted({f"{count:.0f}" for count in last["runs"]})
            steps = f"{last['agent_steps'].iloc[0]:,.0f}"
            rows.append([f"{_SOURCES[name]}'s {agent}", steps, " to ".join(runs), *cells])
            for protocol in dict.fromkeys(last["protocol"]):
                metric = last["metric"].iloc[0]
                notes.append(f"{_SOURCES[name]}: {metric}. Protocol: {protocol}.")
    return f"{_markdown(rows)}\n{_bullets(dict.fromkeys(notes))}"


_TABLES: dict[str, Callable[[list[Group]], str]] = {
    "overview": _overview,
    "classic control": functools.partial(_across, _CLASSIC),
    "MinAtar": functools.partial(_across, _MINATAR),
    "continuous actions": functools.partial(_across, _CONTINUOUS),
    "random play": _random,
    "unfinished runs": _unfinished,
    "published Atari": _published_atari,
    "reinforce": functools.partial(_of_agent, beginning="classics/reinforce_"),
}
_TABLES |= {
    directory: functools.partial(_of_agent, beginning=f"{directory}/") for directory in _AGENTS
}


def _is_below(values: list[float], published: float) -> bool:
    """Whether the whole interval is; of one run, whether its number is."""
    return bool(values) and collect.bounds(values)[1] < published


def _mean(values: list[float]) -> str:
    return collect.interval(values) if values else ""


def _range(values: Sequence[float], digits: int) -> str:
    """The number, or the least and the greatest of different ones."""
    texts = [f"{value:,.{digits}f}" for value in (min(values), max(values))] if values else []
    return " to ".join(dict.fromkeys(texts))


def _without_empty_columns(rows: Iterable[list[str]]) -> list[list[str]]:
    head, *rest = rows
    kept = [column for column in range(len(head)) if any(line[column] for line in rest)]
    return [[line[column] for column in kept] for line in (head, *rest)]


def _markdown(rows: Iterable[Sequence[str]]) -> str:
    head, *rest = rows
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rest))


if __name__ == "__main__":
    main()
