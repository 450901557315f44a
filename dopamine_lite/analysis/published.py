"""Published results of other people, with their sources and protocols, and human scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dopamine_lite.analysis.collected import read_collected, read_csv
from dopamine_lite.analysis.groups import group_names
from dopamine_lite.common.errors import UserError
from dopamine_lite.configuration.names import did_you_mean
from dopamine_lite.files.paths import user_path

TRAINING, EVALUATION = "training return", "evaluation return"
_HUMAN = "atari_human"
COLUMNS = (
    *("agent", "environment", "agent_steps", "frames", "metric", "value", "std", "low", "high"),
    *("runs", "protocol", "source", "note"),
)
_NUMBERS = ("agent_steps", "frames", "value", "std", "low", "high", "runs")


def packaged_results() -> Path:
    """The directory of the published results that come with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "published"
    return installed if installed.is_dir() else package.parent / "baselines" / "published"


def references() -> list[str]:
    """The names of the published results that come with the package."""
    return sorted(path.stem for path in packaged_results().glob("*.csv") if path.stem != _HUMAN)


def load_reference(name: str | Path) -> pd.DataFrame:
    """Published results, by a name among `references()` or from a CSV file.

    Returns:
      A row for each point of a curve, or for each final score: `reference` (the name of the results),
      `agent`, `environment`, `agent_steps`, `frames`, `metric` ("training return", "evaluation return"
      or another name), `value` (the mean over runs), `std`, `low` and `high` (over runs, as the source
      gives them), `runs`, `protocol`, `source` and `note`. A table of runs such as baselines/curves.csv
      is turned into such rows, with mean and standard deviation over its seeds.

    Raises:
      UserError: there is no such reference, or the file is not such a table.
    """
    path = packaged_results() / f"{name}.csv"
    if str(name) not in references():
        path = user_path(str(name))
        if not path.is_file():
            known = references()
            raise UserError(
                f"There is no reference {name}{did_you_mean(str(name), known)}: name a CSV file or one "
                f"of {', '.join(known)}."
            )
    table = read_csv(path)
    if {"train_return", "eval_return"} <= set(table):
        table = _of_collected(path)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise UserError(
            f"{path} is not a table of results: it has no column {missing[0]}. The columns of such "
            f"a table are {', '.join(COLUMNS)}."
        )
    for column in _NUMBERS:
        if not pd.api.types.is_numeric_dtype(table[column]):
            raise UserError(f"{path} has values that are not numbers in its column {column}.")
    texts = {
        column: table[column].astype(object).fillna("").astype("str")
        for column in ("protocol", "source", "note")
    }
    numbers = {column: table[column].astype("float64") for column in _NUMBERS}
    return table.assign(**texts, **numbers, reference=path.stem)[["reference", *COLUMNS]]


def human_scores() -> pd.DataFrame:
    """The scores of a random agent and of a human tester in 57 Atari games.

    Returns:
      A row for each game: `environment`, `low` (the random agent's score), `high` (the human's) and
      `source`.
    """
    return read_csv(packaged_results() / f"{_HUMAN}.csv")


def normalized(scores: pd.DataFrame, bounds: pd.DataFrame | None = None) -> pd.DataFrame:
    """Puts scores of different environments on one scale, on which 0 is `low` and 1 is `high`.

    Args:
      scores: what `scores` returns.
      bounds: a row for each environment, with the columns environment, low and high; None:
        `human_scores`, so that 0 is a random agent and 1 a human tester (human-normalized scores, Mnih
        et al. 2015).

    Returns:
      The same table with `score` and `area` on that scale.

    Raises:
      UserError: an environment has no bounds, or its bounds are the same number.
    """
    known = human_scores() if bounds is None else bounds
    lacking = [name for name in ("environment", "low", "high") if name not in known]
    if lacking:
        raise UserError(f"The bounds have no column {lacking[0]}: give environment, low and high.")
    scale = known.set_index("environment")
    missing = sorted(set(scores["environment"]) - set(scale.index))
    if missing:
        raise UserError(
            f"There are no bounds to normalize {', '.join(missing)} by: human scores are known for "
            "57 Atari games; for others give a table with the columns environment, low and high."
        )
    low = scores["environment"].map(scale["low"]).astype(float)
    high = scores["environment"].map(scale["high"]).astype(float)
    if len(same := scores["environment"][low == high]):
        raise UserError(
            f"The bounds of {', '.join(sorted(set(same)))} are the same number: low and high must "
            "differ."
        )
    return scores.assign(
        score=(scores["score"] - low) / (high - low), area=(scores["area"] - low) / (high - low)
    )


def _of_collected(path: Path) -> pd.DataFrame:
    """The groups in a table of runs as published results: mean and spread over seeds."""
    runs = read_collected(path)
    about = runs.runs.assign(agent=group_names(runs.runs))[
        ["run", "agent", "environment", "protocol"]
    ]
    points = runs.iterations.merge(about, on="run")
    parts = []
    for column, metric in (
        ("train_average_return", TRAINING),
        ("eval_average_return", EVALUATION),
    ):
        key = ["agent", "environment", "agent_steps"]
        grouped = points.dropna(subset=[column]).groupby(key, sort=False)
        part = grouped[column].agg(value="mean", std="std", low="min", high="max", runs="size")
        part["frames"] = grouped["frames"].first()
        part["protocol"] = grouped["protocol"].first().astype(object).fillna("").astype("str")
        parts.append(part.reset_index().assign(metric=metric))
    return pd.concat(parts, ignore_index=True).assign(source=path.name, note="")
