"""Curves are those of the logs, cut lines and all; what is drawn is what they say."""

import json

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from dopamine_lite.analysis import plots
from dopamine_lite.analysis.runs import load_runs


def test_running_mean():
    found = plots.running_mean(np.array([1.0, 3.0, 5.0, 9.0]), 2)
    np.testing.assert_allclose(found, [1.0, 2.0, 4.0, 7.0])
    np.testing.assert_allclose(plots.running_mean(np.array([1.0, 3.0]), 9), [1.0, 2.0])


def test_recent_mean_is_over_steps_and_over_five_values_at_least():
    values, steps = np.arange(1.0, 9.0), np.array([1, 2, 3, 4, 5, 6, 50, 51])
    found = plots.recent_mean(values, steps, 6)
    # up to step 6 all are within 6 steps; at 50 and 51 only one or two are, so the last five count
    np.testing.assert_allclose(found, [1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 5.0, 6.0])
    np.testing.assert_allclose(plots.recent_mean(values, steps, 100)[-1], values.mean())


@pytest.fixture
def make_logged(tmp_path):
    def make(name: str, seed: int = 0, gamma: float = 0.9, shift: float = 0.0):
        directory = tmp_path / name
        (directory / "logs").mkdir(parents=True)
        (directory / "config.gin").write_text(
            f"Runner.agent = @DQNAgent\nRunner.num_iterations = 2\nDQNAgent.gamma = {gamma}\n"
        )
        about = {
            "schema": 1,
            "seed": seed,
            "environment": "CartPole-v1",
            "agent": {"agent": "DQNAgent"},
            "protocol": {"environment": "CartPole-v1"},
            "started": {"time": "2026-01-01", "command": "x"},
            "resumed": [],
        }
        (directory / "provenance.json").write_text(json.dumps(about))
        of_all = {"iteration": 0, "stream": 0, "length": 10}
        episodes = [
            of_all | {"phase": "train", "agent_steps": 10, "return": 1.0 + shift},
            of_all | {"phase": "eval", "agent_steps": 20, "return": 9.0},
            of_all | {"phase": "train", "agent_steps": 30, "return": 3.0 + shift},
        ]
        first, second = {"iteration": 0, "agent_steps": 20}, {"iteration": 1, "agent_steps": 40}
        iterations = [
            first | {"train": {"epsilon": 0.5}, "eval": {"average_return": 9.0 + shift}},
            second | {"train": {"epsilon": 0.1, "loss": 2.0 + shift}},
        ]
        for kind, lines in (("episodes", episodes), ("iterations", iterations)):
            text = "".join(json.dumps(line) + "\n" for line in lines) + '{"cut": '
            (directory / "logs" / f"{kind}.jsonl").write_text(text)
        return directory

    return make


def test_curves_of_a_run(make_logged):
    (curves,) = plots.curves_of(load_runs(make_logged("run")))
    np.testing.assert_array_equal(curves.steps, [10, 30])
    np.testing.assert_array_equal(curves.returns, [1.0, 3.0])
    np.testing.assert_array_equal(curves.evaluations, [9.0, np.nan])
    np.testing.assert_array_equal(curves.metrics["epsilon"], [0.5, 0.1])
    np.testing.assert_array_equal(curves.metrics["loss"], [np.nan, 2.0])


def test_seeds_are_one_line_and_settings_are_two(make_logged, tmp_path):
    for seed in range(3):
        make_logged(f"a{seed}", seed, 0.9, shift=float(seed))
        make_logged(f"b{seed}", seed, 0.5)
    runs = load_runs(tmp_path)
    curves = plots.curves_of(runs)
    assert sorted({run.group for run in curves}) == ["DQN gamma=0.5", "DQN gamma=0.9"]
    assert plots.title_of(runs) == "CartPole-v1: DQN"
    axes = plots.draw_learning(curves, window=1).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    line = lines["DQN gamma=0.9 (3 seeds)"]
    np.testing.assert_allclose(
        line.get_ydata()[[0, -1]], [2.0, 4.0]
    )  # means of 1, 2, 3 and 3, 4, 5
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (1.0, 5.0)


def test_evaluations_are_averaged_iteration_by_iteration():
    """Also along episodes, of which each run has other numbers."""
    faster = RUN._replace(name="faster", steps=np.array([5, 10, 15, 30]), returns=np.ones(4))
    axes = plots.draw_learning(
        [RUN, faster._replace(evaluations=np.array([4.0, 8.0]))], None, True
    ).axes[0]
    evaluation = axes.lines[1]
    np.testing.assert_array_equal(evaluation.get_xydata(), [[(1 + 3) / 2, 3.0], [(2 + 4) / 2, 6.0]])
    elsewhere = faster._replace(iteration_steps=np.array([10, 40]))
    axes = plots.draw_learning([RUN, elsewhere]).axes[0]
    x, y = axes.lines[1].get_data()
    assert (x[0], x[-1]) == (20, 40)  # where both are
    np.testing.assert_allclose((y[0], y[-1]), ((2 + (2 + 2 / 3)) / 2, 4.0))


def test_the_same_seed_twice_is_no_pair_of_replicates(make_logged, tmp_path):
    first, second = make_logged("first"), make_logged("second")
    groups = [run.group for run in plots.curves_of(load_runs(tmp_path))]
    assert groups == [str(first), str(second)]


def steps(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """Edges and heights of all stairs."""
    data = [patch.get_data() for patch in axes.patches]
    return [(each.edges.tolist(), each.values.tolist()) for each in data]


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


RUN = plots.Curves(
    "run",
    "run",
    np.array([10, 30]),
    np.array([1.0, 3.0]),
    np.array([20, 40]),
    np.array([2.0, 4.0]),
    {"epsilon": np.array([0.5, 0.1])},
)


def test_runs_have_their_exploration_beside_their_returns():
    other = RUN._replace(name="other", group="other", metrics={"entropy": np.array([1.5, 1.2])})
    figure = plots.draw_learning([RUN], window=2)
    returns, exploration = figure.axes
    assert exploration.get_ylabel() == "epsilon"
    assert exploration.get_ylim()[0] == 0
    assert steps(exploration) == [([0, 20, 40], [0.5, 0.1])]
    _, mean, evaluation = returns.lines
    np.testing.assert_array_equal(mean.get_xydata(), [[10, 1.0], [30, 2.0]])
    np.testing.assert_array_equal(evaluation.get_xydata(), [[20, 2.0], [40, 4.0]])
    assert legend(figure) == [  # every line has its words
        "a training episode",
        "training: mean of the last 2 episodes",
        "evaluation: mean of its episodes",
        "epsilon: mean of an iteration, on the right axis",
    ]

    both, exploration = plots.draw_learning([RUN, other], window=2, by_episode=True).axes
    assert both.get_xlabel() == "training episode"
    np.testing.assert_array_equal(both.lines[0].get_xdata(), [1, 2])
    assert exploration.get_ylabel() == "epsilon, entropy"
    assert steps(exploration) == [([0, 1, 2], [0.5, 0.1]), ([0, 1, 2], [1.5, 1.2])]
    colors = [to_hex(patch.get_edgecolor()) for patch in exploration.patches]
    assert colors == [to_hex(both.lines[index].get_color()) for index in (0, 2)]

    assert len(plots.draw_learning([RUN._replace(metrics={})], window=2).axes) == 1


def test_the_mean_follows_a_run_whose_episodes_grow():
    """500 at every end since step 20,000: a mean over a hundred episodes would not show it by 60,000."""
    lengths = np.concatenate([np.full(400, 50), np.full(80, 500)])
    at = np.cumsum(lengths)
    run = RUN._replace(steps=at, returns=lengths.astype(float), metrics={})
    axes = plots.draw_learning([run]).axes[0]
    along, mean = axes.lines[1].get_data()
    assert mean[along > 26_000].min() == 500
    assert plots.running_mean(run.returns, 100)[-1] < 450
    said = legend(plots.draw_learning([run]))[1]
    assert said == "training: mean of the episodes of the last 3,000 agent steps (at least 5)"


def test_an_entropy_below_zero_is_drawn_whole():
    """That of a density is, where its standard deviation is small."""
    run = RUN._replace(metrics={"entropy": np.array([0.5, -1.5])})
    _, exploration = plots.draw_learning([run], window=2).axes
    low, high = exploration.get_ylim()
    assert low < -1.5 and high > 0.5


def test_an_exploration_that_is_zero_or_missing():
    never, missing = np.zeros(2), np.full(2, np.nan)
    for epsilon in (never, missing):
        run = RUN._replace(metrics={"epsilon": epsilon})
        _, exploration = plots.draw_learning([run], window=2).axes
        low, high = exploration.get_ylim()
        assert low < high < np.inf
        assert epsilon is missing or (low, high) == (0, 1)


def test_a_metric_of_the_runs_that_log_it():
    runs = [
        RUN._replace(name="one", group="one", metrics={"loss": np.array([5, 3])}),
        RUN._replace(name="two", group="two", metrics={}),
    ]
    figure = plots.draw_metric(runs, "loss")
    (axes,) = figure.axes
    assert axes.get_ylabel() == "loss"
    assert legend(figure) == ["one", "mean of each training phase"]
    assert steps(axes) == [([0, 20, 40], [5, 3])]
