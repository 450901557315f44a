"""The pictures of RocketLander: a Painter draws a Scene with pygame. Only rendering imports this."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
from Box2D import b2Transform
from gymnasium.error import DependencyNotInstalled

try:
    import pygame
except ImportError as error:
    raise DependencyNotInstalled(
        'pygame is not installed: run `pip install "gymnasium[box2d]"`.'
    ) from error

from dopamine_lite.environments.rocket_flight import (
    BARGE_DECK,
    BARGE_HALF_HEIGHT,
    BARGE_HALF_WIDTH,
    FEET,
    FULL_FUEL,
    HULL_BOTTOM,
    HULL_HALF_WIDTH,
    HULL_TOP,
    SIDE_THRUSTER_HEIGHT,
    SMOKE_SECONDS,
    STEPS_PER_SECOND,
    Scene,
)
from dopamine_lite.environments.rocket_light import (
    HEIGHT,
    HORIZON,
    SUN_X,
    WATER_LINE,
    WIDTH,
    dusk,
    fire,
    smoke,
)

# In pixels unless a comment says otherwise
WAVE_ROWS = 14
INSTRUMENTS_Y = 744
NOZZLE_LENGTH = 1.7  # m
INTERSTAGE = 21.0  # m: its lower end
WHITE = (246, 244, 240)
CARGO = (  # (outer edge, width, height in m, color) at either end of the barge
    (29.0, 2.6, 3.2, (86, 92, 108)),
    (26.2, 2.4, 2.2, (150, 84, 62)),
)
FLAME_CORE = (  # (half width in m, share of the flame's length, color)
    (1.05, 0.85, (255, 158, 64)),
    (0.85, 0.66, (255, 208, 112)),
    (0.6, 0.45, (255, 246, 220)),
)
_Color = tuple[int, int, int]


class Painter:
    """Draws the scene at twice its size and scales it down smoothly, which softens every edge.

    Nothing in a picture is random: waves, flames and smoke follow from the step.
    """

    def __init__(self) -> None:
        pygame.font.init()
        self._canvas = pygame.Surface((WIDTH * 2, HEIGHT * 2), 0, 32)
        self._background = pygame.surfarray.make_surface(dusk().swapaxes(0, 1))
        self._small = pygame.font.Font(None, 20)
        self._large = pygame.font.Font(None, 30)
        self._light = functools.lru_cache(512)(fire)
        self._cloud = functools.lru_cache(64)(smoke)
        self._window: pygame.Surface | None = None

    def picture(self, scene: Scene) -> pygame.Surface:
        """[WIDTH, HEIGHT]."""
        self._aim(scene)
        self._canvas.blit(self._background, (0, 0))
        self._draw_waves(scene, 0, 7)
        self._draw_barge(scene)
        self._draw_waves(scene, 7, WAVE_ROWS)
        self._draw_smoke(scene)
        self._draw_flame(scene)
        self._draw_legs(scene)
        self._draw_hull(scene)
        self._draw_side_jet(scene)
        picture = pygame.transform.smoothscale(self._canvas, (WIDTH, HEIGHT))
        self._draw_instruments(picture, scene)
        return picture

    def pixels(self, scene: Scene) -> np.ndarray:
        """[HEIGHT, WIDTH, 3] uint8."""
        picture = pygame.surfarray.array3d(self.picture(scene))
        return np.ascontiguousarray(picture.swapaxes(0, 1))

    def show(self, scene: Scene) -> None:
        """Shows the scene in a window, for as long as a step lasts."""
        if self._window is None:
            pygame.display.init()
            self._window = pygame.display.set_mode((WIDTH, HEIGHT))
            pygame.display.set_caption("RocketLander")
            self._clock = pygame.time.Clock()
        self._window.blit(self.picture(scene), (0, 0))
        pygame.event.pump()
        self._clock.tick(STEPS_PER_SECOND)
        pygame.display.flip()

    def close(self) -> None:
        if self._window is not None:
            pygame.display.quit()
            self._window = None

    def _aim(self, scene: Scene) -> None:
        """Chooses the view: the stage and the barge, as close as possible."""
        stage = scene.stage
        ends = [stage * (0.0, HULL_BOTTOM), stage * (0.0, HULL_TOP)]
        left = min(*(end[0] - 12 for end in ends), -BARGE_HALF_WIDTH - 6)
        right = max(*(end[0] + 12 for end in ends), BARGE_HALF_WIDTH + 6)
        top = max(end[1] + 8 for end in ends)
        self._middle = (left + right) / 2
        self._scale = 2 * min(WIDTH / (right - left), (WATER_LINE - 30) / top)  # pixels in a m

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        return WIDTH + (x - self._middle) * self._scale, 2 * WATER_LINE - y * self._scale

    def _polygon(
        self, color: _Color, points: list[tuple[float, float]], frame: b2Transform
    ) -> None:
        """Draws a polygon with points in the frame of the stage or the barge."""
        pygame.draw.polygon(
            self._canvas, color, [self._pixel(*(frame * point)) for point in points]
        )

    def _line(
        self, color: _Color, points: list[tuple[float, float]], width: float, frame: b2Transform
    ) -> None:
        """Draws a line with round ends; `width` is in m."""
        pixels = [self._pixel(*(frame * point)) for point in points]
        thickness = max(round(width * self._scale), 1)
        for start, end in itertools.pairwise(pixels):
            pygame.draw.line(self._canvas, color, start, end, thickness)
        for pixel in pixels:
            pygame.draw.circle(self._canvas, color, pixel, thickness / 2)

    def _glow(self, color: _Color, x: float, y: float, radius: float) -> None:
        """Adds light around a point of the world."""
        size = max(round(radius * self._scale / 2) * 2, 2)  # even, so that fewer discs are kept
        left, top = self._pixel(x, y)
        self._canvas.blit(
            self._light(color, size),
            (left - size, top - size),
            special_flags=pygame.BLEND_RGB_ADD,
        )

    def _smoke(self, x: float, y: float, radius: float, opacity: float) -> None:
        size = max(round(radius * self._scale / 4) * 4, 4)
        cloud = self._cloud(size)
        cloud.set_alpha(round(255 * opacity))
        left, top = self._pixel(x, y)
        self._canvas.blit(cloud, (left - size, top - size))

    def _draw_waves(self, scene: Scene, first: int, last: int) -> None:
        """Draws rows of the sea, from the horizon to the front."""
        time = scene.step / STEPS_PER_SECOND
        columns = np.arange(0, 2 * WIDTH + 24, 24)
        for row in range(first, last):
            near = (row + 0.5) / WAVE_ROWS
            x = columns / 2 + self._middle * self._scale / 2 * near
            length, size = 25 + 120 * near, 0.8 + 5 * near  # pixels
            swell = np.sin(x / length + 1.7 * row - time * (0.9 + 0.3 * math.sin(row)))
            ripple = np.sin(x / length * 2.7 + row * row + time * 1.6)
            level = 2 * (HORIZON + (HEIGHT - HORIZON) * near**1.4)
            crest = level - 2 * size * (0.7 * swell + 0.3 * ripple)
            line = list(zip(columns.tolist(), crest.tolist(), strict=True))
            color = _mix((142, 92, 116), (13, 24, 50), near**0.6)
            bottom = [(2 * WIDTH + 24, 2 * HEIGHT), (0, 2 * HEIGHT)]
            pygame.draw.polygon(self._canvas, color, line + bottom)
            pygame.draw.lines(
                self._canvas, _mix(color, (238, 168, 140), 0.35 - 0.2 * near), False, line, 3
            )
            self._draw_glitter(row, near, level, time)

    def _draw_glitter(self, row: int, near: float, level: float, time: float) -> None:
        """Draws the low sun's reflection in the water."""
        for number in range(4):
            spread = math.sin(12.9 * row + 78.2 * number)
            shine = math.sin(time * (1.5 + 0.4 * number) + 5 * row + 2 * number)
            if shine > 0:
                x = 2 * SUN_X + spread * (30 + 110 * near)
                half = (8 + 26 * near) * shine
                color = _mix((255, 196, 130), (120, 84, 96), near)
                y = level + 7 * (1 + near) * (number % 2)
                pygame.draw.line(self._canvas, color, (x - half, y), (x + half, y), 4)

    def _draw_barge(self, scene: Scene) -> None:
        """Draws the deck as seen from slightly above; the feet stand in its middle."""
        barge, half, deck = scene.barge, BARGE_HALF_WIDTH, BARGE_HALF_HEIGHT
        near, far = deck - 1.4, deck + 1.3
        for side in (-1, 1):
            for x, width, height, color in CARGO:
                left, right = side * x, side * (x - width)
                box = [(left, far - 0.6), (right, far - 0.6), (right, far + height)]
                self._polygon(color, [*box, (left, far + height)], barge)
        ends = [(-half, near), (half, near)]
        self._polygon((74, 78, 90), [*ends, (half - 1.5, far), (1.5 - half, far)], barge)
        self._polygon((46, 49, 60), [*ends, (half - 3, -deck), (3 - half, -deck)], barge)
        self._polygon(
            (146, 52, 48),
            [(-half + 2, -1), (half - 2, -1), (half - 3, -deck), (3 - half, -deck)],
            barge,
        )
        self._line((122, 126, 138), ends, 0.25, barge)
        for x, color in ((12.0, (236, 226, 206)), (10.6, (74, 78, 90)), (4.4, (236, 190, 70))):
            self._polygon(color, _ellipse(x, 0.09 * x, deck), barge)
        self._polygon((74, 78, 90), _ellipse(3.0, 0.27, deck), barge)
        for x in range(-24, 25, 8):
            self._line((96, 100, 114), [(x, near - 0.2), (x, near - 1.4)], 0.2, barge)

    def _draw_smoke(self, scene: Scene) -> None:
        for puff in scene.puffs:
            age = (scene.step - puff.step) / STEPS_PER_SECOND
            way = (1 - math.exp(-2 * age)) / 2  # s: it is slowed down by the air
            x, y = puff.x + way * puff.velocity_x, puff.y + way * puff.velocity_y
            radius = 1.5 + 5 * math.sqrt(age)
            ground = _ground(x) + 0.4 * radius
            if y < ground:  # it turns aside
                x += (ground - y) * 1.6 * math.sin(2.4 * puff.step)
                y = ground
            self._smoke(x, y, radius, 0.3 * (1 - age / SMOKE_SECONDS) * min(age * 6, 1))

    def _draw_flame(self, scene: Scene) -> None:
        throttle, stage = scene.throttle, scene.stage
        if throttle < 0.02:
            return
        flicker = 1 + 0.06 * math.sin(2.1 * scene.step) + 0.04 * math.sin(5.3 * scene.step)
        sine, cosine = math.sin(scene.gimbal), math.cos(scene.gimbal)
        nozzle = stage * (0.0, HULL_BOTTOM - NOZZLE_LENGTH)
        whole = 26 * throttle * flicker
        length = min(whole, max(nozzle.y - _ground(nozzle.x), 1.0))
        spread = whole - length  # m to either side, if the deck or the sea is in the way
        if spread:
            self._draw_turned_flame(nozzle.x, spread)
        for number in range(24):
            share = number / 23
            way = NOZZLE_LENGTH + length * share
            x, y = stage * (sine * way, HULL_BOTTOM - cosine * way)
            color = _mix((120, 96, 64), (70, 20, 6), share)
            self._glow(color, x, y, 1.6 + 2.2 * math.sin(math.pi * (0.15 + 0.85 * share)))
        for width, reach, color in FLAME_CORE:
            outline: list[tuple[float, float]] = []
            for share in (0.0, 0.12, 0.3, 0.6, 1.0, 0.6, 0.3, 0.12, 0.0):
                side = 1 if len(outline) > 4 else -1
                bulge = width * (1 - share) ** 0.7 * (0.8 + 1.6 * share)
                way, aside = NOZZLE_LENGTH + reach * length * share, side * bulge
                outline.append(
                    (sine * way + cosine * aside, HULL_BOTTOM - cosine * way + sine * aside)
                )
            self._polygon(color, outline, stage)

    def _draw_turned_flame(self, middle: float, spread: float) -> None:
        for number in range(1, 12):
            color = _mix((110, 70, 36), (30, 10, 3), number / 11)
            for x in (middle - spread * number / 14, middle + spread * number / 14):
                self._glow(color, x, _ground(x) + 0.6, 1.7)

    def _draw_legs(self, scene: Scene) -> None:
        """Draws the legs, folded up high above the deck only for show: the bodies are unfolded."""
        stage = scene.stage
        unfolded = min(max((120 - scene.motion.height) / 40, 0.0), 1.0)
        unfolded = unfolded * unfolded * (3 - 2 * unfolded)
        for share, color in ((0.42, (38, 38, 44)), (1.0, (24, 24, 29))):  # the far pair first
            for (x, y), slid in zip(FEET, scene.legs, strict=True):
                hinge = (math.copysign(1.7, x), -9.8)
                reach = math.hypot(abs(x) - 1.7, y - hinge[1])
                lowered = math.atan2(y + slid - hinge[1], abs(x) - 1.7)
                angle = math.pi / 2 + unfolded * (lowered - math.pi / 2)
                outward = share * reach * math.cos(angle) + 0.3
                foot = (hinge[0] + math.copysign(outward, x), hinge[1] + reach * math.sin(angle))
                middle = (0.3 * hinge[0] + 0.7 * foot[0], 0.3 * hinge[1] + 0.7 * foot[1])
                if unfolded > 0.3:
                    self._line((92, 92, 100), [(hinge[0], -4.6), middle], 0.3, stage)
                self._line(color, [hinge, foot], 0.75, stage)
                if unfolded == 1:
                    pad = [(foot[0] - 0.8, foot[1] + 0.15), (foot[0] + 0.8, foot[1] + 0.15)]
                    self._line(color, pad, 0.4, stage)

    def _draw_hull(self, scene: Scene) -> None:
        stage = scene.stage
        sine, cosine = math.sin(scene.gimbal), math.cos(scene.gimbal)
        nozzle = [(-0.55, 0.2), (0.55, 0.2), (1.0, -NOZZLE_LENGTH), (-1.0, -NOZZLE_LENGTH)]
        turned = [(cosine * x - sine * y, HULL_BOTTOM + sine * x + cosine * y) for x, y in nozzle]
        self._polygon((58, 56, 62), turned, stage)
        self._draw_cylinder(HULL_BOTTOM, -10.2, (70, 68, 72), stage)
        for step in range(8):  # soot from the flight up
            bottom = -10.2 + step * 1.7
            self._draw_cylinder(bottom, bottom + 1.7, _mix((128, 122, 120), WHITE, step / 7), stage)
        self._draw_cylinder(3.4, INTERSTAGE, WHITE, stage)
        self._draw_cylinder(INTERSTAGE, HULL_TOP, (46, 46, 52), stage)
        for y in (3.4, 12.0):
            self._line((176, 176, 184), [(-1.7, y), (1.7, y)], 0.12, stage)
        self._polygon((44, 76, 150), [(-0.5, 5.5), (0.5, 5.5), (0.5, 10), (-0.5, 10)], stage)
        for side in (-1, 1):
            self._draw_grid_fin(side, stage)

    def _draw_cylinder(self, bottom: float, top: float, color: _Color, stage: b2Transform) -> None:
        """Draws a cylinder lit by the sun from the left."""
        edges = [-1 + 2 * number / 16 for number in range(17)]
        for left, right in itertools.pairwise(edges):
            shade = 0.5 + 0.5 * math.cos(1.25 * ((left + right) / 2 + 0.45))
            red, green, blue = color
            dark = 1 - shade
            tint = (
                round(red * shade),
                round(green * shade * (0.97 - 0.04 * dark)),
                round(blue * shade * (0.92 + 0.12 * dark)),
            )
            a, b = left * HULL_HALF_WIDTH, right * HULL_HALF_WIDTH
            self._polygon(tint, [(a, bottom), (b, bottom), (b, top), (a, top)], stage)

    def _draw_grid_fin(self, side: int, stage: b2Transform) -> None:
        inner, outer, bottom, top = 2.0 * side, 4.8 * side, 22.6, 24.2
        dark = (40, 40, 46)
        self._line(dark, [(1.6 * side, 23.4), (inner, 23.4)], 0.5, stage)
        frame = [(inner, bottom), (outer, bottom + 0.3), (outer, top + 0.3), (inner, top)]
        self._polygon((88, 84, 90), frame, stage)
        self._line(dark, [*frame, frame[0]], 0.22, stage)
        for share in (0.33, 0.67):
            x, rise = inner + share * (outer - inner), 0.3 * share
            self._line(dark, [(x, bottom + rise), (x, top + rise)], 0.14, stage)
            y = bottom + share * (top - bottom)
            self._line(dark, [(inner, y), (outer, y + 0.3)], 0.14, stage)

    def _draw_side_jet(self, scene: Scene) -> None:
        side = scene.side
        if abs(side) < 0.05:
            return
        direction = -math.copysign(1, side)  # against the force
        for number in range(6):
            way = HULL_HALF_WIDTH + 0.4 + number * (0.4 + 0.7 * abs(side))
            sway = 0.15 * number * math.sin(1.9 * scene.step + number)
            x, y = scene.stage * (direction * way, SIDE_THRUSTER_HEIGHT + 1.5 + sway)
            self._smoke(x, y, 0.5 + 0.28 * number, (0.85 - 0.12 * number) * min(1, 2 * abs(side)))

    def _draw_instruments(self, picture: pygame.Surface, scene: Scene) -> None:
        motion = scene.motion
        panel = pygame.Surface((WIDTH - 28, 44), pygame.SRCALPHA, 32)
        pygame.draw.rect(panel, (6, 8, 22, 150), panel.get_rect(), border_radius=10)
        picture.blit(panel, (14, INSTRUMENTS_Y))
        speed = math.hypot(motion.velocity_x, motion.velocity_y)
        for x, name, value, unit in (
            (30, "SPEED", speed, "m/s"),
            (176, "HEIGHT", max(motion.height, 0.0), "m"),
        ):
            self._write(picture, self._small, name, x, (176, 178, 204))
            number = self._write(picture, self._large, f"{value:.1f}", x + 64, (250, 250, 255))
            self._write(picture, self._small, unit, x + 69 + number, (176, 178, 204))
        for x, name, share, color in (
            (332, "FUEL", scene.fuel / FULL_FUEL, (120, 200, 150)),
            (446, "THRUST", scene.throttle, (255, 176, 84)),
        ):
            name_width = self._write(picture, self._small, name, x, (176, 178, 204))
            bar = pygame.Rect(x + name_width + 8, INSTRUMENTS_Y + 18, 66, 8)
            pygame.draw.rect(picture, (60, 62, 84), bar, border_radius=4)
            bar.width = round(bar.width * share)
            pygame.draw.rect(picture, color, bar, border_radius=4)

    def _write(
        self, picture: pygame.Surface, font: pygame.font.Font, text: str, x: int, color: _Color
    ) -> int:
        """Writes text in the middle of the panel's height; returns its width in pixels."""
        written = font.render(text, True, color)
        picture.blit(written, (x, INSTRUMENTS_Y + 23 - written.get_height() // 2))
        return written.get_width()


def _ground(x: float) -> float:
    """Height of the deck or the sea, for fire and smoke."""
    return BARGE_DECK if abs(x) < BARGE_HALF_WIDTH else 0.0


def _ellipse(half_width: float, half_height: float, y: float) -> list[tuple[float, float]]:
    angles = np.linspace(0, 2 * math.pi, 40, endpoint=False)
    return [(half_width * math.cos(a), y + half_height * math.sin(a)) for a in angles.tolist()]


def _mix(first: _Color, second: _Color, share: float) -> _Color:
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
