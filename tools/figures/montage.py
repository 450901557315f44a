"""Puts films of several agents side by side: the picture at the top of README.md and of the site.

python tools/figures/montage.py docs/pictures/agents.gif FILM.gif FILM.gif ...

A film is a .gif that `dopamine-lite record` has written. Shorter films begin again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image, ImageSequence

HEIGHT = 150  # pixels, of every film in the picture
GAP = 8
SECONDS, PICTURES_PER_SECOND = 8, 12
BACKGROUND = (255, 255, 255)


def pictures(film: Path) -> list[Image.Image]:
    """A film's pictures, `PICTURES_PER_SECOND` of them, each of the same height."""
    taken, time = [], 0.0
    with Image.open(film) as opened:
        for frame in ImageSequence.Iterator(opened):
            if time >= len(taken) * 1000 / PICTURES_PER_SECOND:
                taken.append(_scaled(frame.convert("RGB")))
            time += frame.info.get("duration", 40)
    return taken


def _scaled(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.resize((round(width * HEIGHT / height), HEIGHT), Image.Resampling.LANCZOS)


def montage(films: list[Path]) -> list[Image.Image]:
    columns = [pictures(film) for film in films]
    width = sum(column[0].width + GAP for column in columns) - GAP
    made = []
    for number in range(SECONDS * PICTURES_PER_SECOND):
        whole, left = Image.new("RGB", (width, HEIGHT), BACKGROUND), 0
        for column in columns:
            picture = column[number % len(column)]
            whole.paste(picture, (left, 0))
            left += picture.width + GAP
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
