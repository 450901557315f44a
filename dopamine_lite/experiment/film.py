"""Films of an agent at play: step and score above the picture, what the agent predicts beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dopamine_lite.common.errors import UserError
from dopamine_lite.files.outputs import check_output, written_aside

if TYPE_CHECKING:
    import numpy as np

    from dopamine_lite.agents.agent import Agent
    from dopamine_lite.agents.explanation import Explanation
    from dopamine_lite.analysis.explained import Explainer
    from dopamine_lite.common.types import Transitions
    from dopamine_lite.environments.environment import Environment, EnvironmentSpec
    from dopamine_lite.reporting.iteration_statistics import EpisodeRecord
    from dopamine_lite.runner.runner import Runner

SUFFIXES = (".mp4", ".gif")
FEWEST_PICTURES_A_SECOND, MOST_PICTURES_A_SECOND = 0.1, 1000.0
_LEAST_HEIGHT = 400  # pixels; smaller pictures are enlarged by a whole factor
_STRIP_HEIGHT, _FONT_SIZE = 28, 18
_ATARI_RATE, _DEFAULT_RATE = 60, 30  # frames per second
_GIF_RATE = 25  # an animated GIF of one second is large
_LONGEST_EPISODE = 100_000  # steps, or an hour of film; Atari's limit is 27,000
_MOST_GIF_PICTURES = 3_000  # all in memory until the film is written, up to 2.8 MB each
_LAST_PICTURE_SECONDS = 1.0  # how long an episode's final score is shown

OnEpisode = Callable[[float, int], None]  # called with the score and the length of an episode


@dataclasses.dataclass(frozen=True)
class Film:
    """What a film shows.

    Attributes:
      returns: the sum of the raw rewards of each episode.
      lengths: the length of each episode, in agent steps.
      fps: the pictures per second of the agent's own time.
      notes: sentences on pictures that are left out, and on a speed that nothing tells.
    """

    returns: list[float]
    lengths: list[int]
    fps: float
    notes: list[str]


def film(
    runner: Runner,
    output: Path,
    episodes: int,
    seed: int,
    *,
    fps: float | None,
    explained: str | None,
    on_episode: OnEpisode,
) -> Film:
    """Films whole episodes of the runner's agent.

    Args:
      runner: the Runner, whose agent has not played since its checkpoint.
      output: the file, which appears once the film is complete.
      episodes: the number of episodes.
      seed: the seed of the environment, as in `evaluate` with a single environment.
      fps: the pictures per second; None: the environment's own speed.
      explained: what to call the checkpoint beside what the agent predicts; None: nothing is explained.
      on_episode: called after each episode.

    Raises:
      UserError: no such file can be made, the environment draws no pictures, the agent has nothing to
        explain, or an episode does not end.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise UserError(f"The film {output} does not end in {' or '.join(SUFFIXES)}.")
    check_output(output)
    fewest, most = FEWEST_PICTURES_A_SECOND, MOST_PICTURES_A_SECOND
    if fps is not None and not fewest <= fps <= most:
        raise UserError(
            f"fps is {fps}: give the pictures per second, from {fewest} to {most:,.0f}."
        )
    named_rate = fps or _steps_per_second(runner.spec)
    rate = named_rate or _DEFAULT_RATE
    environment = _environment(runner, seed)
    with (
        contextlib.closing(environment),
        written_aside(output) as aside,
        _Writer(aside, rate) as writer,
    ):
        played = _record(runner, environment, episodes, writer, explained, on_episode)
    notes = [writer.left_out_in_words()] if writer.left_out else []
    if named_rate is None:
        notes.append(
            f"{rate} pictures per second, because {runner.spec.id} has no render_fps in the metadata "
            "of its class; fps sets another speed"
        )
    return Film([score for score, _ in played], [steps for _, steps in played], rate, notes)


def _environment(runner: Runner, seed: int) -> Environment:
    """The environment that `evaluate` makes with this seed and `num_envs=1`."""
    from dopamine_lite.common.seeding import Seeds

    return runner.create_environment(
        Seeds(seed).integer("evaluation"), num_envs=1, render=True, evaluate=True
    )


def _steps_per_second(spec: EnvironmentSpec) -> float | None:
    """Agent steps per second of the environment's own time; None if it gives none.

    Raises:
      UserError: the environment's value is not such a number.
    """
    from gymnasium.envs.registration import load_env_creator

    from dopamine_lite.environments.gymnasium_environment import find

    if spec.frame_skip > 1:
        return _ATARI_RATE / spec.frame_skip
    try:
        entry_point = find(spec.id).entry_point
    except UserError:  # it is not one of Gymnasium's environments
        return None
    creator = load_env_creator(entry_point) if isinstance(entry_point, str) else entry_point
    metadata = getattr(creator, "metadata", None)
    rate = metadata.get("render_fps") if isinstance(metadata, dict) else None
    if rate is None:
        return None
    fewest, most = FEWEST_PICTURES_A_SECOND, MOST_PICTURES_A_SECOND
    if not isinstance(rate, int | float) or not fewest <= rate <= most:
        raise UserError(
            f"{spec.id} has {rate!r} as render_fps in its metadata: give the pictures per second, "
            f"from {fewest} to {most:,.0f}, there or as fps."
        )
    return float(rate)


def _record(
    runner: Runner,
    environment: Environment,
    episodes: int,
    writer: _Writer,
    explained: str | None,
    on_episode: OnEpisode,
) -> list[tuple[float, int]]:
    """Films whole episodes; returns the score and the length of each."""
    from dopamine_lite.reporting.iteration_statistics import IterationStatistics

    camera, played = _Camera(runner.agent, environment, writer, explained), itertools.count(1)
    results: list[tuple[float, int]] = []

    def is_last(_: int, finished: list[EpisodeRecord]) -> bool:
        return any(next(played) == episodes for _ in finished)

    for tick in runner.stage.play(environment, camera, IterationStatistics(), is_last):
        camera.score += float(tick.rewards[0])
        camera.steps += 1
        if tick.finished:
            results.append(camera.end_episode())
            on_episode(*results[-1])
        elif camera.steps >= _LONGEST_EPISODE:
            raise UserError(
                f"An episode of {runner.spec.id} has not ended after {camera.steps:,} steps, which is "
                "more than a film can show: set Runner.max_steps_per_episode in a run that is to be "
                "filmed."
            )
    return results


class _Camera:
    """Plays as in evaluation (a `Player`), and films what the agent sees before it acts."""

    def __init__(
        self, agent: Agent, environment: Environment, writer: _Writer, explained: str | None
    ):
        self.score, self.steps = 0.0, 0  # in this episode
        self._agent = agent
        self._environment = environment
        self._writer = writer
        self._explained = explained
        self._explainer: Explainer | None = None

    def act(self, observations: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
        from dopamine_lite.analysis.explained import Moment

        self._picture = self._environment.render()
        said = self._said(observations, masks) if self._explained else None
        actions = self._agent.act(observations, True, masks)
        if self._explainer:
            mask = None if masks is None else masks[0]
            self._explainer.see(None if said is None else Moment(said, actions[0], mask))
        self._writer.show(self._drawn())
        return actions

    def _said(self, observations: np.ndarray, masks: np.ndarray | None) -> Explanation | None:
        """The agent's explanation of its action.

        Raises:
          UserError: the agent explains nothing at the first step.
        """
        from dopamine_lite.agents.explanation import checked
        from dopamine_lite.analysis.explained import Explainer

        name, spec = type(self._agent).__name__, self._environment.spec
        explain = getattr(
            self._agent, "explain", lambda *_: None
        )  # an agent need not come from this package
        said = checked(explain(observations, masks), len(observations), spec, name)
        if self._explainer is None:
            if said is None:
                raise UserError(
                    f"A {name} has nothing to explain: only agents that learn action values or a "
                    "policy have. Film it without `explain`, or give it a method "
                    "`explain(observations, action_masks)` (see "
                    "docs/how_to/watch.md)."
                )
            self._explainer = Explainer(spec, f"{name}, {self._explained}")
        if self.steps == 0:
            self._explainer.begin_episode()
        return said

    def _drawn(self) -> Callable[[], np.ndarray]:
        draw = self._explainer.draw if self._explainer else captioned
        return functools.partial(draw, self._picture, _caption(self.score, self.steps))

    def add(
        self, transitions: Transitions, observations: np.ndarray, masks: np.ndarray | None
    ) -> None:
        self._agent.observe(transitions, evaluate=True)

    def flush(self) -> None:
        pass

    def end_episode(self) -> tuple[float, int]:
        """Returns the episode's score and length."""
        # The same picture again, because the environment already shows the next episode.
        self._writer.show(self._drawn(), last=True)
        ended = self.score, self.steps
        self.score, self.steps = 0.0, 0
        return ended


def _caption(score: float, steps: int) -> tuple[str, str]:
    return f"score {readable(score)}", f"step {steps:,}"


def readable(score: float) -> str:
    """Whole numbers without a decimal point, other numbers with one decimal."""
    return f"{score:,.{0 if score.is_integer() else 1}f}"


class _Writer:
    """Writes a film: an .mp4 picture by picture, a .gif at the end, unless there is an error."""

    def __init__(self, output: Path, rate: float):
        import imageio

        self._count = 0
        self.left_out = 0  # pictures that are not in the film
        self._last_frames = math.ceil(rate * _LAST_PICTURE_SECONDS)
        self._pictures: list[np.ndarray] | None = None  # of a .gif
        writer = functools.partial(imageio.get_writer, output)
        if output.suffix.lower() == ".gif":
            self._pictures = []
            self._every = math.ceil(rate / _GIF_RATE)  # a faster film leaves out pictures
            milliseconds = 10 * round(100 * self._every / rate)  # the format's unit is 10 ms
            self._gif = functools.partial(writer, duration=milliseconds, loop=0)
        else:
            self._every = 1
            self._writer = writer(fps=rate, codec="libx264", macro_block_size=2, quality=8)

    def show(self, draw: Callable[[], np.ndarray], last: bool = False) -> None:
        """Adds the picture [height, width, 3] uint8 that `draw` returns, if it is shown.

        Raises:
          UserError: the film is too long for a .gif.
        """
        if last or self._count % self._every == 0:
            pictures = [draw()] * (self._last_frames if last else 1)
            if self._pictures is None:
                for picture in pictures:
                    self._writer.append_data(picture)
            else:
                self._pictures += pictures
                if len(self._pictures) > _MOST_GIF_PICTURES:
                    raise UserError(
                        f"A .gif holds at most {_MOST_GIF_PICTURES:,} pictures, and this film has more: "
                        "record an .mp4 or fewer episodes, or set Runner.max_steps_per_episode in a run "
                        "that is to be filmed."
                    )
        else:
            self.left_out += 1
        self._count += 1

    def left_out_in_words(self) -> str:
        return (
            f"{self.left_out:,} of {self._count:,} pictures are left out: a .gif shows at most "
            f"{_GIF_RATE} pictures per second, here one in {self._every}; an .mp4 has all of them, "
            f"and so has a .gif with an fps of {_GIF_RATE}, which plays more slowly"
        )

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if self._pictures is None:
            self._writer.close()
        elif error is None:
            with self._gif() as writer:
                for picture in self._pictures:
                    writer.append_data(picture)


def captioned(picture: np.ndarray, caption: tuple[str, str]) -> np.ndarray:
    """`picture` [height, width, 3] uint8, enlarged if it is small, below a strip with `caption`.

    Both sides of the result are even, for the mp4 format. No part of the picture is covered.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    factor = math.ceil(_LEAST_HEIGHT / picture.shape[0])
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = enlarged.shape[:2]
    image = Image.new("RGB", (width + width % 2, _STRIP_HEIGHT + height + height % 2))
    image.paste(Image.fromarray(enlarged), (0, _STRIP_HEIGHT))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT_SIZE)
    left, right = caption
    middle = _STRIP_HEIGHT // 2
    draw.text((6, middle), left, "white", font, anchor="lm")
    draw.text((width - 6, middle), right, "white", font, anchor="rm")
    return np.asarray(image)
