"""Draws docs/pictures/rocket_lander.png: four moments of a landing, by the hand-written controller.

python tools/figures/rocket_lander.py
"""

from __future__ import annotations

from pathlib import Path

import gymnasium
from PIL import Image

from dopamine_lite.environments.rocket_lander import heuristic

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "rocket_lander.png"
_SIZE, _GAP = (300, 400), 4  # pixels


def main() -> None:
    environment = gymnasium.make(
        "dopamine_lite.environments.registration:RocketLander-v0", render_mode="rgb_array"
    )
    observation, _ = environment.reset(seed=0)
    frames, ended = [environment.render()], False
    while not ended:
        observation, _, terminated, truncated, _ = environment.step(heuristic(observation))
        frames.append(environment.render())
        ended = terminated or truncated
    shown = [frames[len(frames) * part // 4] for part in (1, 2, 3)] + [frames[-1]]
    whole = Image.new("RGB", (len(shown) * (_SIZE[0] + _GAP) - _GAP, _SIZE[1]), "white")
    for place, frame in enumerate(shown):
        small = Image.fromarray(frame).resize(_SIZE, Image.Resampling.LANCZOS)
        whole.paste(small, (place * (_SIZE[0] + _GAP), 0))
    whole.save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
