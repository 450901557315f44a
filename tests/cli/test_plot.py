"""`plot`: pictures that can be opened."""

import shutil

import numpy as np
from PIL import Image

from tests.cli.conftest import finish, start


def test_one_run_and_two(runs, cli, tmp_path):
    pictures = [tmp_path / "one.png", tmp_path / "new" / "two.png", tmp_path / "loss.png"]
    first, second = ("--base_dir", runs["dqn"]), ("--base_dir", runs["random"])
    one = cli("plot", *first, "--output", pictures[0], "--window", 5, "--x", "episodes")
    two = cli("plot", *first, *second, "--output", pictures[1])
    loss = cli("plot", *first, *second, "--metric", "loss", "--output", pictures[2])
    for ran, picture in zip((one, two, loss), pictures, strict=True):
        assert ran.status == 0, ran.err
        assert f"written to {picture}" in ran.out
        with Image.open(picture) as image:
            pixels = np.asarray(image.convert("RGB"))
        assert pixels.shape[1] == 1020 and pixels.shape[0] > 552  # room for a legend below
        assert (pixels.reshape(-1, 3) == [0, 114, 178]).all(axis=1).any()  # a curve is drawn


def test_axis_and_window_are_those_asked_for(runs, cli, tmp_path, monkeypatch):
    from dopamine_lite.analysis import plots

    real, asked = plots.draw_learning, []
    monkeypatch.setattr(
        plots, "draw_learning", lambda runs, *rest: asked.append(rest) or real(runs, *rest)
    )
    plot = ("plot", "--base_dir", runs["dqn"], "--output", tmp_path / "curves.png")
    assert cli(*plot, "--window", 5, "--x", "episodes").status == 0
    assert cli(*plot).status == 0
    title = "CartPole-v1: DQN"
    assert asked == [(5, True, title), (None, False, title)]


def test_the_runs_below_a_directory(runs, cli, tmp_path):
    """As of a study, in which a trial may have begun only."""
    for name, run in runs.items():
        shutil.copytree(run, tmp_path / "study" / name)
    shutil.copytree(runs["dqn"], tmp_path / "study" / "begun")
    (tmp_path / "study" / "begun" / "logs" / "episodes.jsonl").write_text("")
    ran = cli("plot", "--base_dir", tmp_path / "study", "--output", tmp_path / "curves.png")
    assert ran.status == 0 and (tmp_path / "curves.png").is_file()
    begun = tmp_path / "study" / "begun"
    assert ran.err == f"The run in {begun} is left out: it has not finished an episode yet.\n"
    shown = cli("inspect", "--base_dir", tmp_path / "study")
    assert shown.status == 2
    assert shown.err == (
        f"dopamine-lite: {tmp_path / 'study'} is not a run itself (no config.gin), but has runs below "
        f"it: name one of them, such as {begun}.\n"
    )


def test_mistakes(runs, cli, tmp_path):
    for arguments, sentence in (
        (("--output", "a.png"), "--base_dir is missing"),
        (("--base_dir", runs["dqn"]), "--output is missing"),
        (("--base_dir", runs["dqn"], "--output", "a.gif"), "does not end in .png or .svg or .pdf"),
        (("--base_dir", tmp_path, "--output", "a.png"), "There is no run in"),
        (("--base_dir", __file__, "--output", "a.png"), "is a file: name a run's directory"),
        (
            ("--base_dir", runs["dqn"], "--output", "a.png", "--metric", "los"),
            "No run logs a metric 'los': choose one of average_length, average_return,",
        ),
    ):
        ran = cli("plot", *arguments)
        assert ran.status == 2 and sentence in ran.err


def test_a_strangers_matplotlibrc_is_not_obeyed(runs, tmp_path):
    """It could have LaTeX executed; a figure with it would also fail where there is none."""
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: red\n")
    ran = finish(start("plot", "--base_dir", runs["dqn"], "--output", "curves.png", cwd=tmp_path))
    assert ran.status == 0, ran.err
    with Image.open(tmp_path / "curves.png") as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
