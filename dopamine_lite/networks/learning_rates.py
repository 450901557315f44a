"""Schedules of learning rates: the share of `learning_rate` that each gradient step uses.

A schedule's length is part of the configuration, like everything else: neither the length of a run nor
resuming it changes the learning rate of a gradient step.
"""

from __future__ import annotations

import abc
import math

import gin
import tensorflow as tf

from dopamine_lite.common.checks import check_fraction, check_positive, check_whole
from dopamine_lite.common.errors import UserError

MOST_UPDATES = 10**15  # more than any run takes, and few enough for 64 bits


class Schedule(abc.ABC):
    """The share of the learning rate that each gradient step uses."""

    @abc.abstractmethod
    def __call__(self, updates: tf.Tensor) -> tf.Tensor:
        """The share, [] float32, for the step after `updates`, [] int64, steps. Called in a graph."""


class WarmedUp(Schedule):
    """A warm-up, followed by the schedule of the subclass.

    Step k of the w = `warmup_updates` gradient steps uses k / (w + 1) of the rate, so the first step
    after them is the first that uses all of it (the gradual warm-up of Goyal et al. 2017, except that it
    begins above zero).

    Args:
      warmup_updates: gradient steps of the warm-up; 0: no warm-up.
    """

    def __init__(self, warmup_updates: int):
        check_whole(type(self).__name__, least=0, most=MOST_UPDATES, warmup_updates=warmup_updates)
        self._warmup_updates = warmup_updates

    def __call__(self, updates: tf.Tensor) -> tf.Tensor:
        if self._warmup_updates == 0:
            return self._after_warmup(updates)
        warmup = self._warmup_updates
        warming = tf.cast(updates + 1, tf.float32) / (warmup + 1)
        settled = self._after_warmup(tf.maximum(updates - warmup, 0))
        return tf.where(updates < warmup, warming, settled)

    @abc.abstractmethod
    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        """The share after `updates` gradient steps since the warm-up."""


class Fall(WarmedUp):
    """Falls from 1 to `end_factor` in `updates` gradient steps, and stays there.

    Unless a subclass changes it, the fall is linear: 1 - (1 - e) t / n, where e is the end factor, and t
    of the n updates have been made.
    """

    def __init__(self, updates: int, end_factor: float, warmup_updates: int):
        super().__init__(warmup_updates)
        name = type(self).__name__
        check_whole(name, most=MOST_UPDATES, updates=updates)
        check_fraction(name, end_factor=end_factor)
        self._updates = updates
        self._end_factor = float(end_factor)

    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        return 1.0 - (1.0 - self._end_factor) * self._elapsed(updates)

    def _elapsed(self, updates: tf.Tensor) -> tf.Tensor:
        """The share of the fall that is over, from 0 to 1."""
        return tf.minimum(tf.cast(updates, tf.float32) / self._updates, 1.0)


@gin.configurable
class ConstantSchedule(WarmedUp):
    """A constant learning rate, after a warm-up if there is one.

    Args:
      warmup_updates: w, gradient steps of a linear warm-up, of which step k uses k / (w + 1) of the
        rate; 0: no warm-up.
    """

    def __init__(self, warmup_updates: int = 0):
        super().__init__(warmup_updates)

    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        return tf.ones([])


@gin.configurable
class LinearSchedule(Fall):
    """Lets the learning rate fall linearly with the gradient steps: 1 - (1 - e) t / n.

    Args:
      updates: n, gradient steps of the fall, after the warm-up.
      end_factor: e, the share of the learning rate that is left at the end of the fall.
      warmup_updates: w, gradient steps of a linear warm-up before the fall, of which step k uses
        k / (w + 1) of the rate; 0: no warm-up.
    """

    def __init__(
        self, updates: int = gin.REQUIRED, end_factor: float = 0.0, warmup_updates: int = 0
    ):
        super().__init__(updates, end_factor, warmup_updates)


@gin.configurable
class CosineSchedule(Fall):
    """Lets the learning rate fall along half a cosine: e + (1 - e) (1 + cos(pi t / n)) / 2.

    Equation 5 of Loshchilov and Hutter (2017), without their restarts.

    Args:
      updates: n, gradient steps of the fall, after the warm-up.
      end_factor: e, the share of the learning rate that is left at the end of the fall.
      warmup_updates: w, gradient steps of a linear warm-up before the fall, of which step k uses
        k / (w + 1) of the rate; 0: no warm-up.
    """

    def __init__(
        self, updates: int = gin.REQUIRED, end_factor: float = 0.0, warmup_updates: int = 0
    ):
        super().__init__(updates, end_factor, warmup_updates)

    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        fallen = (1.0 - tf.cos(math.pi * self._elapsed(updates))) / 2.0
        return 1.0 - (1.0 - self._end_factor) * fallen


@gin.configurable
class ExponentialSchedule(Fall):
    """Multiplies the learning rate by the same factor in every gradient step: e^(t / n).

    Args:
      updates: n, gradient steps of the fall, after the warm-up.
      end_factor: e, the share of the learning rate that is left at the end of the fall, above 0.
      warmup_updates: w, gradient steps of a linear warm-up before the fall, of which step k uses
        k / (w + 1) of the rate; 0: no warm-up.
    """

    def __init__(
        self, updates: int = gin.REQUIRED, end_factor: float = 0.1, warmup_updates: int = 0
    ):
        super().__init__(updates, end_factor, warmup_updates)
        if self._end_factor == 0:
            raise UserError(
                "ExponentialSchedule.end_factor is 0, which an exponential fall never reaches: give a "
                "number above 0, or bind LinearSchedule."
            )

    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        return tf.exp(math.log(self._end_factor) * self._elapsed(updates))


@gin.configurable
class StepSchedule(WarmedUp):
    """Multiplies the learning rate by `factor` after every `updates` gradient steps: f^floor(t / n).

    Args:
      updates: n, gradient steps at each rate, after the warm-up.
      factor: f, the share of the learning rate that is left after each fall.
      warmup_updates: w, gradient steps of a linear warm-up before the fall, of which step k uses
        k / (w + 1) of the rate; 0: no warm-up.
    """

    def __init__(self, updates: int = gin.REQUIRED, factor: float = 0.1, warmup_updates: int = 0):
        super().__init__(warmup_updates)
        check_whole("StepSchedule", most=MOST_UPDATES, updates=updates)
        check_fraction("StepSchedule", factor=factor)
        check_positive("StepSchedule", factor=factor)
        self._updates = updates
        self._factor = float(factor)

    def _after_warmup(self, updates: tf.Tensor) -> tf.Tensor:
        falls = tf.cast(updates // self._updates, tf.float32)
        return tf.pow(self._factor, falls)
