"""Puts films of several agents side by side: the picture at the top of README.md and of the site.

python tools/figures/montage.py docs/pictures/agents.gif FILM.gif FILM.gif ...

A film is a .gif that `dopamine-lite record` has written. Shorter films begin again.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

from PIL import Image, ImageSequence

SIDE = 200  # pixels, of each film in the picture
GAP = 8
SECONDS, PICTURES_PER_SECOND = 8, 12
BACKGROUND = (255, 255, 255)


def pictures(film: Path) -> list[Image.Image]:
    """A film's pictures, `PICTURES_PER_SECOND` of them, each within a square."""
    taken, time = [], 0.0
    with Image.open(film) as opened:
        for frame in ImageSequence.Iterator(opened):
            if time >= len(taken) * 1000 / PICTURES_PER_SECOND:
                taken.append(_in_square(frame.convert("RGB")))
            time += frame.info.get("duration", 40)
    return taken


def _in_square(picture: Image.Image) -> Image.Image:
    scale = SIDE / max(picture.size)
    size = tuple(round(scale * each) for each in picture.size)
    square = Image.new("RGB", (SIDE, SIDE), BACKGROUND)
    square.paste(
        picture.resize(size, Image.Resampling.LANCZOS), [(SIDE - each) // 2 for each in size]
    )
    return square


def montage(films: list[Path]) -> list[Image.Image]:
    columns = [itertools.cycle(pictures(film)) for film in films]
    made = []
    for _ in range(SECONDS * PICTURES_PER_SECOND):
        whole = Image.new("RGB", (len(films) * (SIDE + GAP) - GAP, SIDE), BACKGROUND)
        for number, column in enumerate(columns):
            whole.paste(next(column), (number * (SIDE + GAP), 0))
        made.append(whole.quantize(64, dither=Image.Dither.NONE))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("films", type=Path, nargs="+")
    arguments = parser.parse_args()
    first, *others = montage(arguments.films)
    duration = round(1000 / PICTURES_PER_SECOND)
    first.save(
        arguments.output,
        save_all=True,
        append_images=others,
        duration=duration,
        loop=0,
        optimize=True,
    )


if __name__ == "__main__":
    main()
