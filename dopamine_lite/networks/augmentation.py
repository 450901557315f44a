"""Augmentation of the images that an update learns from; acting uses images as they are."""

from __future__ import annotations

from typing import Protocol

import gin
import tensorflow as tf

from dopamine_lite.common.checks import check_not_negative, check_whole
from dopamine_lite.networks.layers import fold_in, normal_rows, uniform_rows


class Augmentation(Protocol):
    """The contract between an agent and an augmentation. Built without arguments."""

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Returns the prepared images, changed at random with the seed [2] int32."""


@gin.configurable
class RandomShift:
    """Random shifts and brightness of images, as in DrQ (Kostrikov et al. 2021, section 3.1).

    Each image is padded by repeating its border, and a window of the image's size is cut out at a
    random place; all frames of a stack are shifted alike. Then the image is multiplied by
    1 + `intensity` clip(e, -2, 2), where e is drawn for each image from a standard normal distribution
    (Schwarzer et al. 2021, for Atari).

    Args:
      pixels: the largest shift in each direction, in pixels.
      intensity: the strength of the random change of brightness; 0: brightness does not change.
    """

    of_images = True  # it works only on images
    draws_for_parts = True

    def __init__(self, pixels: int = 4, intensity: float = 0.05):
        check_whole("RandomShift", least=0, pixels=pixels)
        check_not_negative("RandomShift", intensity=intensity)
        self._pixels = pixels
        self._intensity = intensity

    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """[B, height, width, channels] float32 -> changed images of the same shape, with a seed [2]."""
        images.shape.assert_has_rank(4)
        batch, height, width = images.shape[:3]
        draws = tf.floor(uniform_rows([batch, 2], seed) * (2 * self._pixels + 1))
        shifts = tf.cast(draws, tf.int32) - self._pixels  # [B, 2]
        rows = tf.clip_by_value(tf.range(height) + shifts[:, :1], 0, height - 1)
        columns = tf.clip_by_value(tf.range(width) + shifts[:, 1:], 0, width - 1)
        shifted = tf.gather(tf.gather(images, rows, batch_dims=1), columns, axis=2, batch_dims=1)
        if not self._intensity:
            return shifted
        noise = tf.clip_by_value(normal_rows([batch, 1, 1, 1], fold_in(seed, 1)), -2.0, 2.0)
        return shifted * (1 + self._intensity * noise)
