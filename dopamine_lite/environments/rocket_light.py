"""The light in RocketLander's pictures: the sky at dusk, and the soft discs of fire and smoke."""

from __future__ import annotations

import numpy as np
import pygame

# In pixels unless a comment says otherwise
WIDTH, HEIGHT = 600, 800
HORIZON, WATER_LINE = 640, 700  # the water line is that of the barge
SUN_X, SUN_Y = 170, 622
CLOUDS = (  # (y, x, half height, half width, light added)
    (470, 430, 7, 120, 46),
    (486, 360, 5, 90, 38),
    (540, 90, 6, 110, 44),
    (556, 520, 5, 140, 50),
    (330, 160, 9, 150, 22),
    (590, 300, 4, 160, 40),
)


def dusk() -> np.ndarray:
    """Sky, sun and stars, and the sea's color below: [2 HEIGHT, 2 WIDTH, 3] uint8."""
    rows, columns = np.mgrid[0 : HEIGHT : 2j * HEIGHT, 0 : WIDTH : 2j * WIDTH]
    stops = [0, 0.3, 0.55, 0.75, 0.92, 1, 1.001, HEIGHT / HORIZON]
    colors = np.array(
        [
            (16, 18, 48),
            (44, 38, 90),
            (110, 62, 118),
            (206, 104, 112),
            (248, 166, 118),
            (255, 208, 152),
            (150, 96, 116),
            (13, 24, 50),
        ]
    )
    place = rows / HORIZON
    picture = np.stack([np.interp(place, stops, colors[:, part]) for part in range(3)], -1)
    stars = np.random.default_rng(5)
    for y, x, light in stars.uniform((0, 0, 30), (0.75 * HORIZON, 2 * WIDTH, 190), (110, 3)):
        picture[int(y) : int(y) + 2, int(x) : int(x) + 2] += light * (1 - y / (0.75 * HORIZON))
    distance = np.hypot(columns - SUN_X, rows - SUN_Y)[..., None]
    above = (rows < HORIZON)[..., None]
    glow = 90 * np.exp(-distance / 90) * np.array([1, 0.72, 0.42])
    picture += glow * np.where(above, 1, 0.4)
    picture = np.where(above & (distance < 26), (255, 240, 206), picture)
    for y, x, height, width, light in CLOUDS:
        cloud = np.exp(-(((rows - y) / height) ** 2) - ((columns - x) / width) ** 2)[..., None]
        picture += light * cloud * np.array([1, 0.62, 0.6]) * above
    return picture.clip(0, 255).astype(np.uint8)


def fire(color: tuple[int, int, int], size: int) -> pygame.Surface:
    light = _disc(size)[..., None] * np.array(color)
    return pygame.surfarray.make_surface(light.astype(np.uint8))


def smoke(size: int) -> pygame.Surface:
    cloud = pygame.Surface((2 * size, 2 * size), pygame.SRCALPHA, 32)
    cloud.fill((226, 214, 214))
    alpha = pygame.surfarray.pixels_alpha(cloud)
    alpha[:] = (255 * _disc(size)).astype(np.uint8)
    del alpha  # it locks the surface
    return cloud


def _disc(radius: int) -> np.ndarray:
    """[2 radius, 2 radius], from 1 in the middle smoothly to 0."""
    axis = (np.arange(2 * radius) - radius + 0.5) / radius
    inside = np.clip(1 - axis[:, None] ** 2 - axis**2, 0, 1)
    return inside**2
