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


def program(path: str) -> ModuleType:
    """A script of the repository as a module, which the scripts beside it can import."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return program("baselines/tables.py")


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
    assert {"docs/results/index.md", "docs/results/minatar.md", "README.md"} <= set(made)
    for path, text in made.items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run python baselines/tables.py"


def test_every_run_is_in_a_table(tables):
    blocks = [
        name for text in tables.documents().values() for _, name, _ in tables.BLOCK.findall(text)
    ]
    assert len(blocks) == len(set(blocks))
    for group in tables.groups():
        shown = "random play" if group.name == tables.RANDOM else tables.section_of(group)
        assert shown in blocks, group.config
        for config in group.config.split(" + "):
            assert (ROOT / "configs" / config).is_file()
        assert (ROOT / "docs" / group.page.partition("#")[0]).is_file()


@pytest.mark.parametrize("name", ["results", "speed"])
def test_figures_are_of_these_numbers(name):
    script = f"tools/figures/{name}.py"
    assert program(script).main(["--check"]) == 0, f"run python {script}"


def runs_of(tables: ModuleType, config: str, environment: str, bindings: str, **columns: list[str]):
    """A group whose runs have these cells, one after the other."""
    empty = dict.fromkeys(tables.collect.FINAL, "") | {"agent_steps": "1000"}
    count = len(columns["evaluation_return"])
    rows = [
        empty | {"seed": str(seed)} | {name: cells[seed] for name, cells in columns.items()}
        for seed in range(count)
    ]
    return tables.Group(config, environment, bindings, rows)


def test_a_line_of_a_table(tables):
    """Worked by hand: Student's quantile for three seeds is 4.3027, the standard error sqrt(1 / 3)."""
    group = runs_of(
        *(tables, "qr_dqn/acrobot.gin", "Acrobot-v1", ""),
        evaluation_return=["-80", "-79", "-81"],
        last_train_return=["7", "7", "7"],
        hours=["0.5", "0.25", "0.5"],
        processor=["P", "P", "P"],
    )
    _, line = tables.lines([group])
    assert line == [
        *("[QR-DQN](../agents/qr_dqn.md)", "1,000<br>3 seeds"),
        *("-80.0<br>(-82.5 to -77.5)".replace(" ", "\u00a0"), "-81.0, -79.0"),
        "7.0<br>(7.0 to 7.0)".replace(" ", "\u00a0"),
        "-69.1 (RL Zoo, 100,000 steps); ours is lower",
    ]
    assert "# QR-DQN: seeds 0 to 2, 0.25 to 0.50 (P) hours each" in tables.section([group])
    assert "* RL Zoo: evaluation return of 1 run by DLR-RM/" in tables.section([group])
    assert list(tables._published_cells(group._replace(bindings="Runner.num_envs = 8"))) == []
    better = group._replace(config="c51/acrobot.gin")
    assert list(tables._published_cells(better)) == ["-87.7 (training, CleanRL, 500,000 steps)"]


def test_a_single_run_has_an_interval_over_its_games(tables):
    bound = 'Runner.num_iterations = 1; create_environment.kwargs = {"a": 1}'
    group = runs_of(
        *(tables, "dqn/atari.gin", "Asterix", bound),
        evaluation_return=["438"],
        evaluation_low=["397"],
        evaluation_high=["482"],
    )
    text = tables.section([group])
    assert "| 438.0<br>(games: 397 to 482) |" in text.replace("\u00a0", " ")
    assert "lowest" not in text  # columns in which all cells are empty
    assert (
        "train --base_dir runs/dqn_atari_asterix --gin_files dqn/atari.gin "
        "--gin_bindings 'AtariEnvironment.game = \"Asterix\"' "
        '--gin_bindings "Runner.num_iterations = 1" '
        "--gin_bindings 'create_environment.kwargs = {\"a\": 1}' --seed 0\n"
    ) in text


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
        ("classics/09_pong_from_pixels", "classics/reinforce_pong", 16),
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


def test_what_the_page_of_minatar_says_of_the_seeds(final):
    """Every sentence there that compares seeds or means in training."""

    def returns(agent: str, game: str) -> list[float]:
        key = (f"MinAtar/{game}", f"{agent}/minatar.gin", "")
        runs = [row for row in final if (row["environment"], row["config"], row["bindings"]) == key]
        assert [row["seed"] for row in runs] == ["0", "1", "2"]
        return [float(row["last_train_return"]) for row in runs]

    games = ("Asterix", "Breakout", "SpaceInvaders")
    all_above = {
        (agent, other, game)
        for agent, other in (
            *((agent, "dqn") for agent in ("c51", "qr_dqn", "iqn", "rainbow")),
            ("qr_dqn", "c51"),
        )
        for game in games
        if min(returns(agent, game)) > max(returns(other, game))
    }
    assert all_above == {
        *(("qr_dqn", "dqn", game) for game in games),
        *(("qr_dqn", "c51", game) for game in ("Asterix", "SpaceInvaders")),
        *(("iqn", "dqn", game) for game in ("Asterix", "Breakout")),
        ("c51", "dqn", "Asterix"),
        ("rainbow", "dqn", "SpaceInvaders"),
    }
    agents = ("dqn", "c51", "qr_dqn", "iqn", "rainbow")
    for game in games:
        means = {agent: np.mean(returns(agent, game)) for agent in agents}
        assert min(means, key=means.__getitem__) == "dqn"
    for game in ("Asterix", "Breakout"):
        spans = {agent: np.ptp(returns(agent, game)) for agent in agents}
        assert max(spans, key=spans.__getitem__) == "rainbow"
