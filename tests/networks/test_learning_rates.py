"""Schedules of learning rates: the shares that they give, worked by hand."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dopamine_lite.common.errors import UserError
from dopamine_lite.networks.learning_rates import (
    ConstantSchedule,
    CosineSchedule,
    ExponentialSchedule,
    LinearSchedule,
    StepSchedule,
)
from dopamine_lite.networks.optimizers import Adam, Optimizer, RMSProp

HALF = np.sqrt(0.5)

# A schedule, and its shares after 0, 1, 2 ... gradient steps.
SHARES: dict[str, tuple[Any, list[float]]] = {
    "constant": (functools.partial(ConstantSchedule), [1, 1, 1]),
    "constant, warmed up": (
        functools.partial(ConstantSchedule, warmup_updates=3),
        [0.25, 0.5, 0.75, 1, 1, 1],
    ),
    "linear": (functools.partial(LinearSchedule, 4), [1, 0.75, 0.5, 0.25, 0, 0]),
    "linear to a fifth": (
        functools.partial(LinearSchedule, 4, end_factor=0.2),
        [1, 0.8, 0.6, 0.4, 0.2, 0.2, 0.2],
    ),
    "linear, warmed up": (
        functools.partial(LinearSchedule, 2, warmup_updates=1),
        [0.5, 1, 0.5, 0, 0],
    ),
    "linear that does not fall": (functools.partial(LinearSchedule, 2, end_factor=1), [1, 1, 1]),
    "cosine": (
        functools.partial(CosineSchedule, 4),
        [1, (1 + HALF) / 2, 0.5, (1 - HALF) / 2, 0, 0],
    ),
    "cosine to a tenth": (
        functools.partial(CosineSchedule, 2, end_factor=0.1, warmup_updates=1),
        [0.5, 1, 0.55, 0.1, 0.1],
    ),
    "exponential": (
        functools.partial(ExponentialSchedule, 2, end_factor=0.01),
        [1, 0.1, 0.01, 0.01],
    ),
    "exponential, warmed up": (
        functools.partial(ExponentialSchedule, 3, end_factor=0.125, warmup_updates=1),
        [0.5, 1, 0.5, 0.25, 0.125, 0.125],
    ),
    "steps": (functools.partial(StepSchedule, 2, factor=0.5), [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]),
    "steps, warmed up": (
        functools.partial(StepSchedule, 1, factor=0.1, warmup_updates=2),
        [1 / 3, 2 / 3, 1, 0.1, 0.01],
    ),
}


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_shares_are_those_worked_by_hand(name, compiled):
    make, expected = SHARES[name]
    shares = tf.function(make(), jit_compile=compiled)
    found = [float(shares(tf.constant(step, tf.int64))) for step in range(len(expected))]
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("name", SHARES)
def test_shares_stay_after_the_end_of_a_schedule(name):
    """Often wrong: step counters in small integers overflow."""
    make, expected = SHARES[name]
    last = 0.0 if "steps" in name else expected[-1]
    assert float(make()(tf.constant(2**40, tf.int64))) == pytest.approx(last)


@pytest.mark.parametrize("optimizer", [Adam, RMSProp])
def test_an_optimizer_takes_the_share_of_its_rate(optimizer):
    """Steps of a schedule beside those at each of its rates, and at a scale besides."""
    gradients = tf.constant([[0.5, -3.0], [1.0, 2.0], [-0.2, 0.4], [1.0, 1.0]])
    schedule = functools.partial(LinearSchedule, 4, end_factor=0.2)
    variable, built = optimized(optimizer(0.1, schedule=schedule))
    other, at_rate = optimized(optimizer(0.1))
    for share, gradient in zip((1, 0.8, 0.6, 0.4), gradients, strict=True):
        built.apply([gradient], 0.5)
        at_rate.apply([gradient], tf.constant(0.5 * share, tf.float32))
        np.testing.assert_allclose(variable.numpy(), other.numpy(), rtol=1e-6)


@pytest.mark.parametrize("optimizer", [Adam, RMSProp])
def test_decay_updates_is_the_linear_schedule_to_zero_bit_for_bit(optimizer):
    first, decaying = optimized(optimizer(0.1, decay_updates=7))
    second, linear = optimized(optimizer(0.1, schedule=functools.partial(LinearSchedule, 7)))
    generator = np.random.default_rng(0)
    for _ in range(9):
        gradient = tf.constant(generator.normal(size=2), tf.float32)
        decaying.apply([gradient])
        linear.apply([gradient])
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def optimized(optimizer: Optimizer) -> tuple[tf.Variable, Optimizer]:
    variable = tf.Variable([1.0, 2.0])
    optimizer.build([variable])
    return variable, optimizer


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: LinearSchedule(0), "LinearSchedule.updates is 0: give a whole number"),
        (lambda: StepSchedule(10**16), "StepSchedule.updates is 10000000000000000: give a whole"),
        (lambda: LinearSchedule(5, end_factor=2), "LinearSchedule.end_factor is 2"),
        (lambda: CosineSchedule(5, warmup_updates=-1), "CosineSchedule.warmup_updates is -1"),
        (lambda: ConstantSchedule(1.5), "ConstantSchedule.warmup_updates is 1.5"),
        (lambda: ExponentialSchedule(5, end_factor=0), "which an exponential fall never reaches"),
        (lambda: StepSchedule(5, factor=0), "StepSchedule.factor is 0"),
        (lambda: StepSchedule(5, factor=1.5), "StepSchedule.factor is 1.5"),
        (
            lambda: Adam(decay_updates=9, schedule=functools.partial(LinearSchedule, 9)),
            "Adam.decay_updates and Adam.schedule are both bound",
        ),
        (
            lambda: RMSProp(schedule=dict),
            "RMSProp.schedule makes an object of the class dict, which has no",
        ),
    ],
)
def test_schedules_that_cannot_be_are_refused(make, sentence):
    with pytest.raises(UserError, match=sentence):
        make()
