"""`record`: films that can be opened, with the score that `evaluate` finds."""

from __future__ import annotations

import dataclasses
import functools
import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
from PIL import Image

from dopamine_lite.analysis import explained as explaining
from dopamine_lite.experiment import film as filming
from dopamine_lite.experiment.film import _caption, _steps_per_second, _Writer, captioned
from dopamine_lite.files.outputs import written_aside
from tests.agents.tiny import spec


def test_film_of_the_episode_that_evaluate_plays(runs, cli, tmp_path):
    evaluated = tmp_path / "result.json"
    same = ["--base_dir", runs["dqn"], "--seed", 5]
    assert cli("evaluate", *same, "--episodes", 1, "--output", evaluated).status == 0
    result = json.loads(evaluated.read_text())

    film = tmp_path / "films" / "film.mp4"  # in a directory that is not there yet
    recorded = cli("record", *same, "--output", film)
    assert recorded.status == 0, recorded.err
    length = result["lengths"][0]
    assert f"episode 1: score {result['returns'][0]:g} in {length} steps" in recorded.out
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []

    about = imageio.immeta(film, plugin="FFMPEG")
    assert about["fps"] == 50  # CartPole's own
    frames = imageio.imread(film, plugin="FFMPEG")
    assert len(frames) == length + 50  # the last one stays for a second, and the first observation
    assert frames.shape[1] % 2 == 0 and frames.shape[2] % 2 == 0
    strip, picture = frames[0, :28], frames[0, 28:]
    assert strip.mean() < 40 < 150 < picture.mean()  # CartPole is drawn on white


def test_gif_of_two_episodes(runs, cli, tmp_path):
    film = tmp_path / "film.gif"
    recorded = cli(
        *("record", "--base_dir", runs["random"], "--output", film),
        *("--episodes", 2, "--fps", 10, "--checkpoint", 200),
    )
    assert recorded.status == 0, recorded.err
    assert "episode 2: score " in recorded.out and "checkpoint 200: written to" in recorded.out
    assert "left out" not in recorded.out
    with Image.open(film) as image:
        assert image.is_animated and image.info["duration"] == 100


def test_a_gif_says_how_many_pictures_it_leaves_out(runs, cli, tmp_path):
    recorded = cli("record", "--base_dir", runs["random"], "--output", tmp_path / "film.gif")
    length = int(re.search(r"in (\d+) steps", recorded.out)[1])
    pictures, left_out = length + 1, length // 2  # CartPole's 50 a second; the last is always shown
    told = f"  {left_out} of {pictures} pictures are left out: a .gif shows at most 25 pictures per"
    assert told in recorded.out


def frames_of(film) -> np.ndarray:
    return imageio.imread(film, plugin="FFMPEG")


def test_an_explained_film_shows_the_episode_that_the_plain_one_shows(runs, cli, tmp_path):
    plain, explained = tmp_path / "plain.mp4", tmp_path / "explained.mp4"
    same = ("record", "--base_dir", runs["dqn"], "--seed", 3)
    without = cli(*same, "--output", plain)
    with_explanation = cli(*same, "--output", explained, "--explain")
    assert without.status == with_explanation.status == 0, with_explanation.err
    assert with_explanation.out.replace("explained.mp4", "plain.mp4") == without.out
    games, films = frames_of(plain), frames_of(explained)
    assert len(games) == len(films) and films.shape[1:] == (explaining.HEIGHT, explaining.WIDTH, 3)
    for index in (0, 5, -1):  # the game is there, 620 of 600 pixels wide, but for the film's losses
        game = Image.fromarray(games[index, 28:]).resize((620, 413))
        shown = films[index, 177 : 177 + 413, 20 : 20 + 620]
        assert np.abs(shown.astype(int) - np.asarray(game)).mean() < 6
    panels = films[:, :, 660:]
    assert panels[0].max() > 200 and (panels[0] != panels[5]).any()


@pytest.mark.exhaustive
def test_an_explained_gif(runs, cli, tmp_path):
    film = tmp_path / "film.gif"
    recorded = cli("record", "--base_dir", runs["dqn"], "--output", film, "--explain")
    assert recorded.status == 0, recorded.err
    with Image.open(film) as image:
        assert image.is_animated and image.size == (explaining.WIDTH, explaining.HEIGHT)


def test_an_agent_that_thinks_nothing_is_not_explained(runs, cli, tmp_path):
    film = tmp_path / "film.mp4"
    refused = cli("record", "--base_dir", runs["random"], "--output", film, "--explain")
    assert refused.status == 2
    assert (
        "A RandomAgent has nothing to explain: only agents that learn action values" in refused.err
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((210, 160, 3), (420 + 28, 320, 3)),  # Atari, twice as large
        ((400, 600, 3), (400 + 28, 600, 3)),  # CartPole, as it is
        ((401, 601, 3), (402 + 28, 602, 3)),
        ((10, 10, 3), (400 + 28, 400, 3)),  # MinAtar
    ],
)
def test_captions_hide_nothing_of_the_picture(shape, size):
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    frame = captioned(picture, ("score 1", "step 2"))
    assert frame.shape == size and frame.dtype == np.uint8
    factor = -(-400 // shape[0])
    height, width = shape[0] * factor, shape[1] * factor
    np.testing.assert_array_equal(frame[28 : 28 + height : factor, :width:factor], picture)
    assert frame[:28].any()


def test_gif_leaves_pictures_out_where_it_would_be_large(tmp_path):
    film = tmp_path / "film.gif"
    with _Writer(film, rate=120) as opened:
        for step in range(120):
            opened.show(functools.partial(np.full, (40, 40, 3), step, np.uint8))
    assert opened.left_out == 96  # each fifth of 120 is there
    assert opened.left_out_in_words().startswith(
        "96 of 120 pictures are left out: a .gif shows at most 25 pictures per second, here one in 5;"
    )
    with Image.open(film) as image:
        durations = []
        for index in range(image.n_frames):
            image.seek(index)
            durations.append(image.info["duration"])
    assert min(durations) >= 40
    assert sum(durations) == pytest.approx(1000, abs=200)


def test_a_game_of_skipped_frames_is_shown_at_its_own_speed():
    assert _steps_per_second(dataclasses.replace(spec(), frame_skip=4)) == 15


@pytest.mark.parametrize(
    ("score", "text"), [(21.0, "21"), (-12500.0, "-12,500"), (199.6593, "199.7"), (-0.25, "-0.2")]
)
def test_captions_are_short(score, text):
    assert _caption(score, 7) == (f"score {text}", "step 7")


def test_film_that_fails_leaves_what_was_there(tmp_path):
    film = tmp_path / "film.gif"
    film.write_text("an older film")
    with (
        pytest.raises(RuntimeError),
        written_aside(film) as aside,
        _Writer(aside, rate=10) as opened,
    ):
        opened.show(lambda: np.zeros((40, 40, 3), np.uint8))
        raise RuntimeError
    assert film.read_text() == "an older film"
    assert list(tmp_path.iterdir()) == [film]


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (
            "_LONGEST_EPISODE",
            "An episode of CartPole-v1 has not ended after 3 steps, which is more",
        ),
        (
            "_MOST_GIF_PICTURES",
            "A .gif holds at most 3 pictures, and this film has more: record an",
        ),
    ],
)
def test_a_film_without_an_end_is_refused(runs, cli, tmp_path, monkeypatch, limit, sentence):
    monkeypatch.setattr(filming, limit, 3)
    film = tmp_path / "film.gif"
    refused = cli("record", "--base_dir", runs["random"], "--output", film)
    assert refused.status == 2
    assert sentence in refused.err
    assert list(tmp_path.iterdir()) == []
