"""Curves are those of the logs, cut lines and all."""

import json

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from dopamine_lite.analysis import plots


def test_running_mean():
    found = plots.running_mean(np.array([1.0, 3.0, 5.0, 9.0]), 2)
    np.testing.assert_allclose(found, [1.0, 2.0, 4.0, 7.0])
    np.testing.assert_allclose(plots.running_mean(np.array([1.0, 3.0]), 9), [1.0, 2.0])


def test_curves_of_a_run(tmp_path):
    (tmp_path / "logs").mkdir()
    of_all = {"iteration": 0, "stream": 0, "length": 10}
    episodes = [
        of_all | {"phase": "train", "agent_steps": 10, "return": 1.0},
        of_all | {"phase": "eval", "agent_steps": 20, "return": 9.0},
        of_all | {"phase": "train", "agent_steps": 30, "return": 3.0},
    ]
    first, second = {"iteration": 0, "agent_steps": 20}, {"iteration": 1, "agent_steps": 40}
    iterations = [
        first | {"train": {"epsilon": 0.5}, "eval": {"average_return": 9.0}},
        second | {"train": {"epsilon": 0.1, "loss": 2.0}},
    ]
    for name, lines in (("episodes", episodes), ("iterations", iterations)):
        text = "".join(json.dumps(line) + "\n" for line in lines) + '{"cut": '
        (tmp_path / "logs" / f"{name}.jsonl").write_text(text)
    curves = plots.read_curves(tmp_path)
    np.testing.assert_array_equal(curves.steps, [10, 30])
    np.testing.assert_array_equal(curves.returns, [1.0, 3.0])
    np.testing.assert_array_equal(curves.evaluations, [9.0, np.nan])
    np.testing.assert_array_equal(curves.metrics["epsilon"], [0.5, 0.1])
    np.testing.assert_array_equal(curves.metrics["loss"], [np.nan, 2.0])


def steps(axes: Axes) -> list[tuple[list[float], list[float]]]:
    """Edges and heights of all stairs."""
    data = [patch.get_data() for patch in axes.patches]
    return [(each.edges.tolist(), each.values.tolist()) for each in data]


def test_runs_have_their_exploration_beside_their_returns():
    run = plots.Curves(
        "run",
        np.array([10, 30]),
        np.array([1.0, 3.0]),
        np.array([20, 40]),
        np.array([2.0, 4.0]),
        {"epsilon": np.array([0.5, 0.1])},
    )
    other = run._replace(metrics={"entropy": np.array([1.5, 1.2])})
    silent = run._replace(metrics={})
    returns, exploration = plots.draw_learning([run], window=2).axes
    assert exploration.get_ylabel() == "epsilon"
    assert exploration.get_ylim()[0] == 0
    assert steps(exploration) == [([0, 20, 40], [0.5, 0.1])]
    _, mean, evaluation = returns.lines
    np.testing.assert_array_equal(mean.get_xydata(), [[10, 1.0], [30, 2.0]])
    np.testing.assert_array_equal(evaluation.get_xydata(), [[20, 2.0], [40, 4.0]])

    both, exploration = plots.draw_learning([run, other], window=2, by_episode=True).axes
    assert both.get_xlabel() == "training episode"
    np.testing.assert_array_equal(both.lines[1].get_xdata(), [1, 2])
    assert exploration.get_ylabel() == "epsilon, entropy"
    assert steps(exploration) == [([0, 1, 2], [0.5, 0.1]), ([0, 1, 2], [1.5, 1.2])]
    colors = [to_hex(patch.get_edgecolor()) for patch in exploration.patches]
    assert colors == [to_hex(both.lines[index].get_color()) for index in (0, 2)]

    assert len(plots.draw_learning([silent], window=2).axes) == 1


def test_an_entropy_below_zero_is_drawn_whole():
    """That of a density is, where its standard deviation is small."""
    entropy = np.array([0.5, -1.5])
    at = np.array([20, 40])
    run = plots.Curves("run", at, at * 1.0, at, at * 1.0, {"entropy": entropy})
    _, exploration = plots.draw_learning([run], window=2).axes
    low, high = exploration.get_ylim()
    assert low < -1.5 and high > 0.5


def test_an_exploration_that_is_zero_or_missing():
    at = np.array([20, 40])
    never, missing = np.zeros(2), np.full(2, np.nan)
    for epsilon in (never, missing):
        run = plots.Curves("run", at, at * 1.0, at, at * 1.0, {"epsilon": epsilon})
        _, exploration = plots.draw_learning([run], window=2).axes
        low, high = exploration.get_ylim()
        assert low < high < np.inf
        assert epsilon is missing or (low, high) == (0, 1)


def test_a_metric_of_the_runs_that_log_it():
    nothing = np.zeros(0)
    runs = [
        plots.Curves(
            "one", nothing, nothing, np.array([20, 40]), nothing, {"loss": np.array([5, 3])}
        ),
        plots.Curves("two", nothing, nothing, np.array([20]), nothing, {}),
    ]
    (axes,) = plots.draw_metric(runs, "loss").axes
    assert axes.get_ylabel() == "loss"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one"]
    assert steps(axes) == [([0, 20, 40], [5, 3])]
