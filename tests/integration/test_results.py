"""The results that the README and the documents quote are those of the runs in baselines/."""

from __future__ import annotations

import csv
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def table_rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the table's rows below the heading that begins so."""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith(f"| {heading}"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tables", ROOT / "baselines" / "tables.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def final() -> list[dict[str, str]]:
    return rows_of("final.csv")


@pytest.fixture(scope="module")
def curves() -> list[dict[str, str]]:
    return rows_of("curves.csv")


def rows_of(name: str) -> list[dict[str, str]]:
    with (ROOT / "baselines" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_are_what_the_program_makes_of_these_runs(tables):
    made = tables.documents()
    assert {"docs/results/final.md", "README.md"} <= set(made)
    for path, text in made.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run python baselines/tables.py"


def test_a_line_of_a_table(tables):
    """Worked by hand: Student's quantile for three seeds is 4.3027, the standard error sqrt(1 / 3)."""
    row = dict.fromkeys(tables.collect.FINAL, "") | {
        "agent_steps": "1000",
        "commit": "123456789abc",
    }
    rows = [
        row
        | {"seed": str(seed), "evaluation_return": value, "last_train_return": "7", "hours": hours}
        | {"processor": "P"}
        for seed, (value, hours) in enumerate((("-80", "0.5"), ("-79", "0.25"), ("-81", "0.5")))
    ]
    group = tables.Group("qr_dqn/acrobot.gin", "Acrobot-v1", "", rows)
    _, line = tables._lines([group])
    assert line == [
        *("`qr_dqn/acrobot.gin`", "1,000", "3", "-80.0 (-82.5 to -77.5)", "-81.0, -79.0"),
        "7.0 (7.0 to 7.0)",
        "-69.1 (rl_zoo, 1 run, 100,000 steps); ours is below it",
        *("0.25 to 0.50 (P)", "1234567"),
    ]
    assert tables._published(group._replace(bindings="Runner.num_envs = 8")) == ""
    assert "below" not in tables._published(group._replace(config="c51/acrobot.gin"))


@pytest.mark.parametrize(
    ("document", "config", "column", "digits"),
    [
        ("index", "switching_asterix", "evaluation_return", 0),
        ("index", "sarsa_cartpole", "evaluation_return", 1),
        ("index", "double_q_cartpole", "evaluation_return", 1),
        ("07_sarsa_cartpole", "sarsa_cartpole", "evaluation_return", 1),
        ("08_double_q_cartpole", "double_q_cartpole", "evaluation_return", 1),
        ("08_double_q_cartpole", "double_q_cartpole", "last_train_return", 1),
        ("08_double_q_cartpole", "q_learning_cartpole", "evaluation_return", 1),
        ("08_double_q_cartpole", "q_learning_cartpole", "last_train_return", 1),
        ("10_ppo_lands_the_rocket", "ppo/rocket_lander", "evaluation_return", 1),
        ("10_ppo_lands_the_rocket", "ppo_kl_rocket_lander", "evaluation_return", 1),
    ],
)
def test_the_classics_quote_these_runs(document, config, column, digits, final):
    name = f"{config}.gin" if "/" in config else f"classics/{config}.gin"
    runs = [row for row in final if (row["config"], row["bindings"]) == (name, "")]
    assert [row["seed"] for row in runs] == ["0", "1", "2"]
    quoted = [f"{float(row[column]):.{digits}f}" for row in runs]
    text = (ROOT / "docs" / "classics" / f"{document}.md").read_text(encoding="utf-8")
    if document == "07_sarsa_cartpole":  # a row for each seed
        for seed, value in enumerate(quoted):
            assert re.search(rf"^\| seed {seed} .*\| {re.escape(value)} \|$", text, re.MULTILINE)
    else:
        assert ", ".join(quoted) in text


@pytest.mark.parametrize(
    ("document", "config", "iterations"),
    [
        ("classics/03_dqn_breakout", "classics/dqn_breakout", 2),
        ("classics/04_dqn_space_invaders", "classics/dqn_space_invaders", 3),
        ("classics/06_reinforce_space_invaders", "classics/reinforce_space_invaders", 10),
        ("classics/09_pong_from_pixels", "classics/reinforce_pong", 12),
        ("agents/ppo", "ppo/atari_ppo2", 13),
    ],
)
def test_tables_by_agent_steps_are_of_these_runs(document, config, iterations, curves, final):
    key = (f"{config}.gin", f"Runner.num_iterations = {iterations}", "0")
    rows = [row for row in curves if (row["config"], row["bindings"], row["seed"]) == key]
    assert len(rows) == iterations
    points = {row["agent_steps"]: row for row in rows}
    quoted = table_rows(f"docs/{document}.md", "agent steps")
    assert quoted[-1][0].replace(",", "") == rows[-1]["agent_steps"]
    for steps, episodes, training, evaluation, *_ in quoted:
        row = points[steps.replace(",", "")]
        assert episodes.replace(",", "") == row["train_episodes"]
        assert training == rounded_like(training, row["train_return"])
        assert evaluation == rounded_like(evaluation, row["eval_return"])
    [run] = [row for row in final if (row["config"], row["bindings"], row["seed"]) == key]
    text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
    found = re.search(r"100 games\s+afterwards: (-?[\d.]*\d)", text)
    assert found and found[1] == rounded_like(found[1], run["evaluation_return"])


def rounded_like(quoted: str, value: str) -> str:
    """The value with as many decimals as the quoted number has."""
    return f"{float(value):.{len(quoted.partition('.')[2])}f}"


MINATAR_AGENTS = ("dqn", "c51", "qr_dqn", "iqn", "rainbow")


@pytest.mark.parametrize(
    ("heading", "column"), [("training", "last_train_return"), ("greedy", "evaluation_return")]
)
def test_minatars_tables_are_of_these_runs(heading, column, final):
    rows = table_rows("docs/results/minatar.md", heading)
    assert len(rows) == 3
    for game, *cells in rows:
        for agent, cell in zip(MINATAR_AGENTS, cells[-len(MINATAR_AGENTS) :], strict=True):
            key = (f"MinAtar/{game.replace(' ', '')}", f"{agent}/minatar.gin", "")
            runs = [
                row for row in final if (row["environment"], row["config"], row["bindings"]) == key
            ]
            assert [row["seed"] for row in runs] == ["0", "1", "2"]
            values = [float(row[column]) for row in runs]
            by_seed = ", ".join(f"{value:.1f}" for value in values)
            assert cell == f"{np.mean(values):.1f} ({by_seed})"
