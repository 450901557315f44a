"""Makes the films in docs/: trains an agent, records it, and shrinks the record to a small GIF.

python tools/figures/films.py grid cliff        # trains below runs/films and writes docs/pictures/films
python tools/figures/films.py breakout --run D  # films the run in D, which is trained already

A run below runs/films is trained once; the same command then only films it again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg
from PIL import Image, ImageSequence

ROOT = Path(__file__).parents[2]
FILMS = ROOT / "docs" / "pictures" / "films"
MOST_BYTES = 300_000


class Film(NamedTuple):
    """How a film is made."""

    config: str
    bindings: tuple[str, ...] = ()
    seed: int = 0  # of training
    record: tuple[str, ...] = ()  # further flags of `record`
    width: int = 320  # pixels
    every: int = 1  # of so many pictures of the record, one is kept
    start: float = 0.0  # seconds of the record that are left out
    seconds: float = 10.0  # of the film
    colors: int = 64
    suffix: str = ".gif"  # of the record: ".mp4" for long games, of which a .gif cannot hold all


RECORDS = {
    "asterix_switching": Film("classics/switching_asterix.gin", width=240, every=2, colors=32),
    "grid": Film("classics/q_learning_grid_world.gin", record=("--fps=3",), width=300),
    "cliff": Film("classics/q_learning_cliff.gin", record=("--fps=3",), width=400),
    "cliff_sarsa": Film("classics/sarsa_cliff.gin", seed=1, record=("--fps=3",), width=400),
    "lunar_lander_reinforce": Film("classics/reinforce_lunar_lander.gin", seed=2, every=2),
    "cartpole_sarsa": Film("classics/sarsa_cartpole.gin", every=2, seconds=6),
    "cartpole_double_q": Film("classics/double_q_cartpole.gin", every=2, seconds=6),
    "rocket_before": Film("ppo/rocket_lander.gin", record=("--checkpoint=0",), width=200, every=4),
    "rocket": Film("ppo/rocket_lander.gin", width=200, every=4, seconds=16),
    "cartpole": Film("dqn/cartpole.gin", every=2, seconds=6),
    "cartpole_boltzmann": Film("classics/dqn_boltzmann_cartpole.gin", every=2, seconds=6),
    "cartpole_c51": Film("c51/cartpole.gin", record=("--explain",), width=640, every=4, seconds=8),
    "breakout": Film("classics/dqn_breakout.gin", width=240, every=2, colors=32),
    "space_invaders": Film("classics/dqn_space_invaders.gin", width=240, every=2, colors=32),
    "space_invaders_reinforce": Film(
        "classics/reinforce_space_invaders.gin", width=240, every=2, colors=32
    ),
    "pong_pixels": Film(  # a game of several thousand steps, of which it wins the middle
        "classics/reinforce_pong.gin",
        width=200,
        every=2,
        start=162,
        seconds=20,
        colors=32,
        suffix=".mp4",
    ),
}


def make(name: str, film: Film, run: Path | None, runs: Path) -> Path:
    """Trains (unless there is a `run`), records and shrinks."""

    def dopamine_lite(*arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "dopamine_lite", *arguments], check=True)

    if run is None:
        run = runs / f"{film.config.removesuffix('.gin').replace('/', '_')}_{film.seed}"
        flags = [f"--gin_files={film.config}", f"--seed={film.seed}"]
        flags += [f"--gin_bindings={binding}" for binding in film.bindings]
        dopamine_lite("train", f"--base_dir={run}", *flags)
    record = run / f"{name}{film.suffix}"
    dopamine_lite("record", f"--base_dir={run}", f"--output={record}", *film.record)
    FILMS.mkdir(parents=True, exist_ok=True)
    output = FILMS / f"{name}.gif"
    shrink(record, output, film)
    return output


def shrink(record: Path, output: Path, film: Film) -> None:
    """A smaller GIF, with a part of the pictures and one palette for all of them."""
    frames, milliseconds = read(record)
    first, last = (
        round(1000 * each / milliseconds) for each in (film.start, film.start + film.seconds)
    )
    frames = frames[first : last : film.every]
    height = round(frames[0].height * film.width / frames[0].width)
    frames = [frame.resize((film.width, height), Image.Resampling.LANCZOS) for frame in frames]
    several = Image.new("RGB", (film.width, height * 4))
    for place in range(4):
        several.paste(frames[place * (len(frames) - 1) // 3], (0, place * height))
    palette = several.quantize(film.colors, dither=Image.Dither.NONE)
    first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames)
    first.save(
        output,
        save_all=True,
        append_images=others,
        duration=milliseconds * film.every,
        loop=0,
        optimize=True,
    )


def read(record: Path) -> tuple[list[Image.Image], float]:
    """The pictures of a record, and the milliseconds for which each is shown."""
    if record.suffix == ".mp4":
        pictures = imageio_ffmpeg.read_frames(str(record))
        about = next(pictures)
        frames = [Image.frombytes("RGB", about["size"], picture) for picture in pictures]
        return frames, 1000 / about["fps"]
    with Image.open(record) as source:
        milliseconds, frames = source.info["duration"], []
        for frame in ImageSequence.Iterator(source):  # equal pictures are one, which stays longer
            frames += [frame.convert("RGB")] * round(frame.info["duration"] / milliseconds)
    return frames, milliseconds


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description="Makes films for the documents.")
    parser.add_argument("names", nargs="+", choices=RECORDS, help="the films to make")
    parser.add_argument("--run", type=Path, help="a run that is trained already")
    parser.add_argument("--runs", type=Path, default=Path("runs/films"), help="where to train")
    given = parser.parse_args(arguments)
    for name in given.names:
        output = make(name, RECORDS[name], given.run, given.runs)
        size = output.stat().st_size
        print(f"{output}: {size / 1000:,.0f} kB")
        if size > MOST_BYTES:
            print(f"  more than {MOST_BYTES / 1000:,.0f} kB: keep fewer pictures or colors")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
