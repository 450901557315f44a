"""Optimizers on TensorFlow's fused kernels: one call per variable, three times faster than Keras's."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import gin
import tensorflow as tf

from dopamine_lite.common.checks import check_flag, check_fraction, check_not_negative, check_whole
from dopamine_lite.common.contracts import checked_part
from dopamine_lite.common.errors import UserError
from dopamine_lite.common.types import State
from dopamine_lite.networks.learning_rates import MOST_UPDATES, Fall, Schedule


def clipped_by_norm(gradients: Sequence[tf.Tensor], most: float | None) -> Sequence[tf.Tensor]:
    """`gradients`, scaled down to a global norm of `most` if their norm is larger; None: unchanged."""
    return gradients if most is None else tf.clip_by_global_norm(gradients, most)[0]


class Optimizer(abc.ABC):
    """Keeps slots for variables, and a learning rate. Call `build`, then `apply` in a graph.

    Args:
      learning_rate: the learning rate, before any schedule.
      decay_updates: the gradient steps in which the learning rate falls linearly to zero; None: it does
        not fall.
      schedule: a schedule that the learning rate follows, such as `@CosineSchedule`, instead of
        `decay_updates`; None: no schedule.
    """

    _slot_names: tuple[str, ...]

    def __init__(
        self,
        learning_rate: float,
        decay_updates: int | None,
        schedule: Callable[[], Schedule] | None = None,
    ):
        name = type(self).__name__
        check_not_negative(name, learning_rate=learning_rate)
        check_whole(name, optional=True, most=MOST_UPDATES, decay_updates=decay_updates)
        if decay_updates is not None and schedule is not None:
            raise UserError(
                f"{name}.decay_updates and {name}.schedule are both bound, and one learning rate cannot "
                f"follow two schedules: set one of them to None. {name}.decay_updates = {decay_updates} "
                f"is the same as @LinearSchedule with LinearSchedule.updates = {decay_updates}."
            )
        self._initial_rate = float(learning_rate)
        self._schedule: Schedule | None = None
        if schedule is not None:
            self._schedule = checked_part(name, "schedule", schedule(), Schedule)
        elif decay_updates is not None:
            self._schedule = Fall(decay_updates, end_factor=0.0, warmup_updates=0)

    def build(self, variables: Sequence[tf.Variable]) -> None:
        """Makes the slots: zeros with the shapes of `variables`."""
        self._variables = list(variables)
        self._slots = [
            [tf.Variable(tf.zeros_like(variable)) for _ in self._slot_names]
            for variable in self._variables
        ]
        self._updates = tf.Variable(0, dtype=tf.int64)  # gradient steps taken

    @abc.abstractmethod
    def apply(self, gradients: Sequence[tf.Tensor], scale: float | tf.Tensor = 1.0) -> None:
        """Takes one step down `gradients`, in the order of the variables, at `scale` times the rate."""

    def learning_rate(self) -> float:
        """The learning rate of the next step, at a scale of 1."""
        return float(self._learning_rate(1.0))

    def _learning_rate(self, scale: float | tf.Tensor) -> tf.Tensor:
        if self._schedule is None:
            return self._initial_rate * tf.convert_to_tensor(scale, tf.float32)
        return self._initial_rate * scale * self._schedule(self._updates.value())

    def get_state(self) -> State:
        slots = {
            f"{name}_{index}": slot.numpy()
            for index, slots in enumerate(self._slots)
            for name, slot in zip(self._slot_names, slots, strict=True)
        }
        return slots | {"updates": int(self._updates.numpy())}

    def set_state(self, state: State) -> None:
        for index, slots in enumerate(self._slots):
            for name, slot in zip(self._slot_names, slots, strict=True):
                slot.assign(state[f"{name}_{index}"])
        self._updates.assign(state["updates"])


def _check_decays(owner: str, beta1: float, beta2: float, epsilon: float) -> None:
    check_fraction(owner, beta1=beta1, beta2=beta2)
    check_not_negative(owner, epsilon=epsilon)
    if 1 in (beta1, beta2):
        raise UserError(
            f"{owner}.beta1 and {owner}.beta2 must be below 1, or nothing is ever learned."
        )


@gin.configurable
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), in the form at the end of section 2: epsilon is "epsilon hat".

    theta -= lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon). Optax and PyTorch have the
    form with corrected moments. There, the same step needs epsilon / sqrt(1 - beta2^t) as epsilon.

    Args:
      learning_rate: lr, the learning rate before any schedule.
      beta1: decay rate of m, the running mean of the gradients.
      beta2: decay rate of v, the running mean of the squared gradients.
      epsilon: added to the square root of v.
    """

    _slot_names = ("m", "v")

    def __init__(
        self,
        learning_rate: float = 6.25e-5,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1.5e-4,
        decay_updates: int | None = None,
        schedule: Callable[[], Schedule] | None = None,
    ):
        super().__init__(learning_rate, decay_updates, schedule)
        _check_decays("Adam", beta1, beta2, epsilon)
        self._betas = (beta1, beta2)
        self._epsilon = epsilon

    def build(self, variables: Sequence[tf.Variable]) -> None:
        super().build(variables)
        self._powers = [tf.Variable(beta, dtype=tf.float32) for beta in self._betas]  # beta^t

    def apply(self, gradients: Sequence[tf.Tensor], scale: float | tf.Tensor = 1.0) -> None:
        rate = self._learning_rate(scale)
        for variable, slots, gradient in zip(self._variables, self._slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=slots[0].handle,
                v=slots[1].handle,
                beta1_power=self._powers[0],
                beta2_power=self._powers[1],
                lr=rate,
                beta1=self._betas[0],
                beta2=self._betas[1],
                epsilon=self._epsilon,
                grad=gradient,
            )
        self._updates.assign_add(1)
        for power, beta in zip(self._powers, self._betas, strict=True):
            power.assign(power * beta)

    def get_state(self) -> State:
        return super().get_state() | {"powers": [float(power.numpy()) for power in self._powers]}

    def set_state(self, state: State) -> None:
        super().set_state(state)
        for power, value in zip(self._powers, state["powers"], strict=True):
            power.assign(value)


@gin.configurable
class RAdam(Optimizer):
    """Rectified Adam (Liu et al. 2020, algorithm 2): Adam without the step size that few gradients give.

    With rho_inf = 2 / (1 - beta2) - 1 and rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t), step t is theta
    -= lr r_t sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + epsilon) if rho_t > 5, where r_t^2 =
    (rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t). Otherwise, v is too uncertain,
    and the step is theta -= lr m / (1 - beta1^t). The limit of 5 is the same as in the authors' code,
    PyTorch and Optax. The algorithm in the paper has 4. Epsilon is "epsilon hat", as in `Adam`.

    Args:
      learning_rate: lr, the learning rate before any schedule.
      beta1: decay rate of m, the running mean of the gradients.
      beta2: decay rate of v, the running mean of the squared gradients.
      epsilon: added to the square root of v.
    """

    _slot_names = ("m", "v")

    def __init__(
        self,
        learning_rate: float = 2.5e-4,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        decay_updates: int | None = None,
        schedule: Callable[[], Schedule] | None = None,
    ):
        super().__init__(learning_rate, decay_updates, schedule)
        _check_decays("RAdam", beta1, beta2, epsilon)
        self._betas = (beta1, beta2)
        self._epsilon = epsilon

    def apply(self, gradients: Sequence[tf.Tensor], scale: float | tf.Tensor = 1.0) -> None:
        rate = self._learning_rate(scale)
        adaptive, plain = self._factors()
        for variable, (m, v), gradient in zip(self._variables, self._slots, gradients, strict=True):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=m.handle,
                v=v.handle,
                beta1_power=0.0,  # the corrections are in the factors
                beta2_power=0.0,
                lr=rate * adaptive,
                beta1=self._betas[0],
                beta2=self._betas[1],
                epsilon=self._epsilon,
                grad=gradient,
            )
            variable.assign_sub(rate * plain * m)
        self._updates.assign_add(1)

    def _factors(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The factors of lr m / (sqrt(v) + epsilon) and lr m in this step; one of the two is zero.

        They are computed in float64, because rho_t is a small difference of large numbers.
        """
        step = tf.cast(self._updates.value() + 1, tf.float64)
        power1, power2 = (tf.pow(tf.constant(beta, tf.float64), step) for beta in self._betas)
        longest = 2.0 / (1.0 - self._betas[1]) - 1.0
        length = longest - 2.0 * step * power2 / (1.0 - power2)
        rectified = length > 5.0
        known = tf.where(rectified, length, 5.0)  # if it is not used, any number with a root
        rectification = tf.sqrt(
            (known - 4.0) * (known - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * known)
        )
        corrected = 1.0 / (1.0 - power1)
        adaptive = rectification * tf.sqrt(1.0 - power2) * corrected
        zero = tf.zeros_like(corrected)
        return (
            tf.cast(tf.where(rectified, adaptive, zero), tf.float32),
            tf.cast(tf.where(rectified, zero, corrected), tf.float32),
        )


# The kernels' names for the slots.
_RMSPROP_SLOTS = {"mean_gradient": "mg", "mean_square": "ms", "momentum": "mom"}


@gin.configurable
class RMSProp(Optimizer):
    """RMSProp: theta -= lr g / sqrt(V + epsilon), where V is a running mean of g^2 (Hinton 2012).

    In the centered form of Mnih et al. (2015), V is E[g^2] - E[g]^2. That paper sums gradients over its
    batch of 32 and has epsilon 0.01. Here, gradients are averaged over the batch, so the same steps need
    epsilon 0.01 / 32^2, which is the default.

    Args:
      learning_rate: lr, the learning rate before any schedule.
      decay: decay rate of the running means: the share of the old mean that is kept in each step.
      momentum: momentum of the steps; 0: no momentum.
      epsilon: added to V.
      centered: whether the square of the running mean of g is subtracted from the running mean of g^2.
    """

    def __init__(
        self,
        learning_rate: float = 2.5e-4,
        decay: float = 0.95,
        momentum: float = 0.0,
        epsilon: float = 0.01 / 32**2,
        centered: bool = True,
        decay_updates: int | None = None,
        schedule: Callable[[], Schedule] | None = None,
    ):
        super().__init__(learning_rate, decay_updates, schedule)
        check_fraction("RMSProp", decay=decay, momentum=momentum)
        check_not_negative("RMSProp", epsilon=epsilon)
        check_flag("RMSProp", centered=centered)
        self._decay = decay
        self._momentum = momentum
        self._epsilon = epsilon
        if centered:
            self._kernel = tf.raw_ops.ResourceApplyCenteredRMSProp
            self._slot_names = ("mean_gradient", "mean_square", "momentum")
        else:
            self._kernel = tf.raw_ops.ResourceApplyRMSProp
            self._slot_names = ("mean_square", "momentum")

    def apply(self, gradients: Sequence[tf.Tensor], scale: float | tf.Tensor = 1.0) -> None:
        settings = {
            "lr": self._learning_rate(scale),
            "rho": self._decay,
            "momentum": self._momentum,
            "epsilon": self._epsilon,
        }
        for variable, slots, gradient in zip(self._variables, self._slots, gradients, strict=True):
            handles = {
                _RMSPROP_SLOTS[name]: slot.handle
                for name, slot in zip(self._slot_names, slots, strict=True)
            }
            self._kernel(var=variable.handle, grad=gradient, **handles, **settings)
        self._updates.assign_add(1)
