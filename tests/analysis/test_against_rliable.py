"""The statistics beside rliable 1.2.0, in a virtual environment of its own: it needs an older pandas."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dopamine_lite.analysis import statistics

pytestmark = [pytest.mark.extras, pytest.mark.timeout(1_800)]  # it installs packages first

RESAMPLES = 2_000
THRESHOLDS = np.linspace(-1, 2, 7)
PROGRAM = """
import json, sys
import numpy as np
from rliable import library, metrics

told = json.load(sys.stdin)
scores = {name: np.array(values) for name, values in told["scores"].items()}
functions = {"iqm": metrics.aggregate_iqm, "mean": metrics.aggregate_mean,
             "median": metrics.aggregate_median}
found = {}
for name, function in functions.items():
    np.random.seed(0)  # rliable resamples by NumPy's global generator, whatever it is given
    points, intervals = library.get_interval_estimates(
        scores, lambda x: np.array([function(x)]), reps=told["resamples"])
    found[name] = {key: [points[key][0], *intervals[key][:, 0]] for key in scores}
pair = {"x,y": (scores["x"], scores["y"])}
np.random.seed(0)
points, intervals = library.get_interval_estimates(
    pair, lambda x, y: np.array([metrics.probability_of_improvement(x, y)]), reps=told["resamples"])
found["improvement"] = [points["x,y"][0], *intervals["x,y"][:, 0]]
np.random.seed(0)
profiles, bands = library.create_performance_profile(
    {"x": scores["x"]}, np.array(told["thresholds"]), reps=told["resamples"])
found["profile"] = [profiles["x"].tolist(), *bands["x"].tolist()]
json.dump(found, sys.stdout, default=float)
"""


@pytest.fixture(scope="module")
def python(request) -> Path:
    """The interpreter of an environment with rliable, made once and kept in pytest's cache."""
    directory = request.config.cache.mkdir("rliable")
    python = directory / "bin" / "python"
    if not (directory / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "rliable==1.2.0", "pandas<3"]
        subprocess.run(install, check=True)
        (directory / "installed").touch()
    return python


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    """[runs, tasks] of two algorithms, with ties between and within them."""
    generator = np.random.default_rng(1)
    x = generator.normal(0.5, 0.6, (5, 6)).round(1)
    y = generator.normal(0.3, 0.6, (7, 6)).round(1)
    x[:, 2] = 0.4  # no spread
    return {"x": x, "y": y}


@pytest.fixture(scope="module")
def oracle(python, scores) -> dict[str, Any]:
    told = {
        "scores": {name: values.tolist() for name, values in scores.items()},
        "resamples": RESAMPLES,
        "thresholds": THRESHOLDS.tolist(),
    }
    command = [python, "-c", PROGRAM]
    ran = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def by_environment(values: np.ndarray) -> list[np.ndarray]:
    return list(values.T)


@pytest.mark.parametrize("name", statistics.STATISTICS)
def test_estimates_and_intervals(oracle, scores, name):
    for key, values in scores.items():
        statistic, theirs = statistics.STATISTICS[name], oracle[name][key]
        ours = statistics.estimate(statistic, by_environment(values), RESAMPLES, 0)
        assert ours.value == pytest.approx(theirs[0], abs=1e-9)
        # the error of a bootstrap's percentile over so many resamples
        assert ours[1:] == pytest.approx(theirs[1:], abs=0.04)


@pytest.mark.parametrize("name", statistics.STATISTICS)
def test_the_same_resamples_give_the_same_interval(oracle, scores, name):
    values, generator = scores["x"], np.random.RandomState(0)
    runs, tasks = values.shape
    rows = np.stack([generator.choice(runs, values.shape) for _ in range(RESAMPLES)])
    resampled = values[rows, np.arange(tasks)]  # [resamples, runs, tasks]
    drawn = statistics.STATISTICS[name](*np.moveaxis(resampled, 2, 0))
    found = np.percentile(drawn, [2.5, 97.5])
    assert found == pytest.approx(oracle[name]["x"][1:], abs=1e-9)


def test_probability_of_improvement(oracle, scores):
    x, y = map(by_environment, (scores["x"], scores["y"]))
    ours = statistics.probability_of_improvement(x, y, RESAMPLES, 0)
    assert ours.value == pytest.approx(oracle["improvement"][0], abs=1e-9)
    assert ours[1:] == pytest.approx(oracle["improvement"][1:], abs=0.04)


def test_profiles(oracle, scores):
    ours = statistics.profile(by_environment(scores["x"]), THRESHOLDS, RESAMPLES, 0)
    np.testing.assert_allclose(ours[0], oracle["profile"][0], atol=1e-9)
    np.testing.assert_allclose(ours[1:], oracle["profile"][1:], atol=0.035)  # one run of thirty
