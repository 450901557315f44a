"""`dopamine-lite record`: films a run's agent at play, with step and score above the picture.

With `--explain`, it draws the agent's values, return distributions or policy beside the picture.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from dopamine_lite.cli import run_directory
from dopamine_lite.common.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from dopamine_lite.agents.agent import Agent
    from dopamine_lite.agents.explanation import Explanation
    from dopamine_lite.analysis.explained import Explainer
    from dopamine_lite.common.types import Transitions
    from dopamine_lite.environments.environment import Environment, EnvironmentSpec
    from dopamine_lite.reporting.iteration_statistics import EpisodeRecord
    from dopamine_lite.runner.runner import Runner

SUMMARY = "Films a run's agent at play, as an .mp4 or .gif with step and score above the picture."
EXAMPLE = "dopamine-lite record --base_dir runs/cartpole --output runs/cartpole.mp4"
_SUFFIXES = (".mp4", ".gif")
_LEAST_HEIGHT = 400  # pixels; smaller pictures are enlarged by a whole factor
_STRIP_HEIGHT, _FONT_SIZE = 28, 18
_ATARI_RATE, _DEFAULT_RATE = 60, 30  # frames per second
_FEWEST_PICTURES_A_SECOND, _MOST_PICTURES_A_SECOND = 0.1, 1000.0
_GIF_RATE = 25  # an animated GIF of one second is large
_LONGEST_EPISODE = 100_000  # steps, or an hour of film; Atari's limit is 27,000
_LAST_PICTURE_SECONDS = 1.0  # how long an episode's final score is shown


def define_flags(flag_values: flags.FlagValues) -> None:
    run_directory.define_base_dir(flag_values)
    run_directory.define_checkpoint(flag_values)
    run_directory.define_device(flag_values, "a GPU if there is one, else the CPU")
    run_directory.define_import(flag_values)
    run_directory.define_count(flag_values, "episodes", 1, "The number of episodes to film.")
    run_directory.define_seed(flag_values)
    flags.DEFINE_string(
        "output",
        None,
        "The file for the film, which ends in .mp4 or .gif. Required.",
        flag_values=flag_values,
    )
    flags.DEFINE_float(
        "fps",
        None,
        "The number of pictures per second. Each agent step is one picture. Default: the "
        "environment's own speed.",
        lower_bound=_FEWEST_PICTURES_A_SECOND,
        upper_bound=_MOST_PICTURES_A_SECOND,
        flag_values=flag_values,
    )
    flags.DEFINE_bool(
        "explain",
        False,
        "Show beside the game what the agent predicts: action values, distributions of the return, or "
        "its policy.",
        flag_values=flag_values,
    )


def run(flag_values: flags.FlagValues) -> None:
    directory = run_directory.existing_run(flag_values)
    output = run_directory.output_file(flag_values.output, _SUFFIXES, "film.mp4")
    if flag_values.fps is not None and math.isnan(flag_values.fps):
        raise UserError("--fps=nan is not a number: give the pictures per second.")
    opened = run_directory.open_run(flag_values, directory)
    runner = opened.runner
    named_rate = flag_values.fps or _steps_per_second(runner.spec)
    rate = named_rate or _DEFAULT_RATE
    explained = f"{opened.checkpoint:,} agent steps" if flag_values.explain else None
    environment = _environment(runner, flag_values.seed)
    with (
        contextlib.closing(environment),
        run_directory.written_aside(output) as aside,
        _Film(aside, rate) as film,
    ):
        _record(runner, environment, flag_values.episodes, film, explained)
    print(f"{runner.spec.id}, checkpoint {opened.checkpoint:,}: written to {output}")
    if film.left_out:
        print(f"  {film.left_out_in_words()}")
    if named_rate is None:
        print(
            f"  {rate} pictures per second, because {runner.spec.id} has no render_fps in the "
            "metadata of its class; --fps sets another speed"
        )


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
    fewest, most = _FEWEST_PICTURES_A_SECOND, _MOST_PICTURES_A_SECOND
    if not isinstance(rate, int | float) or not fewest <= rate <= most:
        raise UserError(
            f"{spec.id} has {rate!r} as render_fps in its metadata: give the pictures per second, "
            f"from {fewest} to {most:,.0f}, there or with --fps."
        )
    return float(rate)


def _record(
    runner: Runner, environment: Environment, episodes: int, film: _Film, explained: str | None
) -> None:
    """Films whole episodes. `explained` names the checkpoint to explain; None: no explanation."""
    from dopamine_lite.reporting.iteration_statistics import IterationStatistics

    camera, played = _Camera(runner.agent, environment, film, explained), itertools.count(1)

    def is_last(_: int, finished: list[EpisodeRecord]) -> bool:
        return any(next(played) == episodes for _ in finished)

    for tick in runner.stage.play(environment, camera, IterationStatistics(), is_last):
        camera.score += float(tick.rewards[0])
        camera.steps += 1
        if tick.finished:
            camera.end_episode()
        elif camera.steps >= _LONGEST_EPISODE:
            raise UserError(
                f"An episode of {runner.spec.id} has not ended after {camera.steps:,} steps, which is "
                "more than a film can show: set Runner.max_steps_per_episode in a run that is to be "
                "filmed."
            )


class _Camera:
    """Plays as in evaluation (a `Player`), and films what the agent sees before it acts."""

    def __init__(self, agent: Agent, environment: Environment, film: _Film, explained: str | None):
        self.score, self.steps = 0.0, 0  # in this episode
        self._episodes = 0
        self._agent = agent
        self._environment = environment
        self._film = film
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
        self._film.show(self._drawn())
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
                    "policy have. Record it without --explain, or give it a method "
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

    def end_episode(self) -> None:
        # The same picture again, because the environment already shows the next episode.
        self._film.show(self._drawn(), last=True)
        self._episodes += 1
        print(f"episode {self._episodes}: score {_readable(self.score)} in {self.steps:,} steps")
        self.score, self.steps = 0.0, 0


def _caption(score: float, steps: int) -> tuple[str, str]:
    return f"score {_readable(score)}", f"step {steps:,}"


def _readable(score: float) -> str:
    """Whole numbers without a decimal point, other numbers with one decimal."""
    return f"{score:,.{0 if score.is_integer() else 1}f}"


class _Film:
    """Writes a film."""

    def __init__(self, output: Path, rate: float):
        import imageio

        self._count = 0
        self.left_out = 0  # pictures that are not in the film
        self._last_frames = math.ceil(rate * _LAST_PICTURE_SECONDS)
        if output.suffix.lower() == ".gif":
            self._every = math.ceil(rate / _GIF_RATE)  # a faster film leaves out pictures
            milliseconds = 10 * round(100 * self._every / rate)  # the format's unit is 10 ms
            self._writer = imageio.get_writer(output, duration=milliseconds, loop=0)
        else:
            self._every = 1
            self._writer = imageio.get_writer(
                output, fps=rate, codec="libx264", macro_block_size=2, quality=8
            )

    def show(self, draw: Callable[[], np.ndarray], last: bool = False) -> None:
        """Adds the picture [height, width, 3] uint8 that `draw` returns, if it is shown."""
        if last or self._count % self._every == 0:
            frame = draw()
            for _ in range(self._last_frames if last else 1):
                self._writer.append_data(frame)
        else:
            self.left_out += 1
        self._count += 1

    def left_out_in_words(self) -> str:
        return (
            f"{self.left_out:,} of {self._count:,} pictures are left out: a .gif shows at most "
            f"{_GIF_RATE} pictures per second, here one in {self._every}; an .mp4 has all of them, "
            f"and so has a .gif with --fps {_GIF_RATE}, which plays more slowly"
        )

    def __enter__(self) -> _Film:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()


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
