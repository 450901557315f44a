"""What a user reads whose environment is not as it says: one sentence, nothing half-written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import pytest

from tests.environments import peculiar
from tests.environments.peculiar import PICTURE, drawn, paid, registered, seen


@pytest.fixture
def odd(cli, gin_files, tmp_path):
    """Runs a command on `tmp_path / "run"`, of a random agent in an environment of this class."""

    def call(entry_point: Any, command: str = "train", *arguments: object) -> Any:
        training = (
            *("--gin_files", gin_files["random"]),
            *("--gin_bindings", 'create_environment.id = "Odd-v0"'),
            *("--gin_bindings", "Runner.num_iterations = 1"),
            *("--gin_bindings", "Runner.training_steps = 20"),
        )
        with registered(Odd=entry_point):
            more = training if command == "train" else arguments
            return cli(command, "--base_dir", tmp_path / "run", *more)

    return call


def refused(outcome: Any, sentence: str) -> None:
    assert outcome.status == 2, outcome.err
    last = outcome.err.splitlines()[-1]
    assert last.startswith(f"dopamine-lite: Odd-v0 {sentence}"), outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("entry_point", "sentence"),
    [
        (
            seen(0.5),
            "returned 0.5 as observation at the start of an episode (environment 0), but declares",
        ),
        (seen(-1, peculiar.spaces.Discrete(4)), "returned the observation -1 at the start"),
    ],
)
def test_a_first_observation_that_is_wrong_leaves_nothing_behind(
    odd, entry_point, sentence, tmp_path
):
    refused(odd(entry_point), sentence)
    assert list(tmp_path.iterdir()) == []


def test_a_reward_that_is_no_number_is_the_environments(odd):
    sentence = "returned nan as reward in step 5 of an episode (environment 0)"
    refused(odd(paid(float("nan"), 5)), sentence)


def test_a_mistake_of_the_environments_keeps_its_file_and_line(odd):
    with pytest.raises(KeyError, match="price") as caught:
        odd(peculiar.InitMistake)
    assert Path(peculiar.__file__) in [entry.path for entry in caught.traceback]


def test_a_picture_that_is_none_leaves_no_film(odd, tmp_path):
    grows = drawn(PICTURE, PICTURE, PICTURE[1:], render_fps=10)
    assert odd(grows).status == 0
    before = sorted(tmp_path.iterdir())
    refused(odd(grows, "record", "--output", tmp_path / "film.mp4"), "drew an array of shape (9,")
    refused(odd(drawn(None), "record", "--output", tmp_path / "film.gif"), "drew None: Gymnasium's")
    assert sorted(tmp_path.iterdir()) == before


def test_a_films_speed_is_the_environments_or_said_to_be_none(odd, tmp_path):
    film = tmp_path / "film.mp4"
    assert odd(drawn(PICTURE)).status == 0
    for metadata in ({}, {"render_fps": None}):
        recorded = odd(drawn(PICTURE, **metadata), "record", "--output", film)
        assert recorded.status == 0, recorded.err
        assert "30 pictures per second, because Odd-v0 has no render_fps" in recorded.out
        assert imageio.immeta(film, plugin="FFMPEG")["fps"] == 30
    recorded = odd(drawn(PICTURE, render_fps=12), "record", "--output", film)
    assert "pictures per second" not in recorded.out
    assert imageio.immeta(film, plugin="FFMPEG")["fps"] == 12
    for rate in ("fast", 0, -1, float("nan"), float("inf"), [30]):
        recorded = odd(drawn(PICTURE, render_fps=rate), "record", "--output", film)
        refused(recorded, f"has {rate!r} as render_fps in its metadata")
    recorded = odd(drawn(PICTURE, render_fps="fast"), "record", "--output", film, "--fps", 20)
    assert recorded.status == 0, recorded.err
    assert imageio.immeta(film, plugin="FFMPEG")["fps"] == 20


@pytest.mark.parametrize("reward", [1e308, 1e200])
def test_returns_beyond_all_bounds_are_not_written_as_json(odd, tmp_path, reward):
    """A bare Infinity is no JSON."""
    great = paid(reward)
    great.reward = lambda self, step: reward
    assert odd(peculiar.Plain).status == 0
    output = tmp_path / "result.json"
    evaluated = odd(great, "evaluate", "--episodes", 3, "--output", output)
    assert evaluated.status == 2, evaluated.err
    assert "The returns of Odd-v0, up to" in evaluated.err and "too large" in evaluated.err
    assert not output.exists()
    assert odd(peculiar.Plain, "evaluate", "--episodes", 3, "--output", output).status == 0
    assert json.loads(output.read_text())["returns"] == [6.0] * 3
