"""Data parallel learning: one learner on several devices, each of which learns from a part of a batch.

A learner is made in the scope of a `tf.distribute` strategy (see `configuration.devices`), which has a
copy of every variable on each device. In a gradient step, a replica on each device computes the
gradients of its rows of the batch. The gradients are averaged over the replicas, and the optimizer takes
the same step on each copy. Up to rounding, this is the step of one device with the whole batch. On one
device, nothing is different.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from dopamine_lite.common.errors import UserError


class DataParallel:
    """A learner's work on the devices of the strategy in whose scope it is made.

    Args:
      batch_size: B, the rows of a batch.
      drawing: the parts that draw random numbers, such as a noisy head. Those whose `draws_for_parts` is
        True draw the same numbers for a part of a batch as in the whole batch.
      what: what has that size, for messages.

    Raises:
      UserError: the devices cannot share a batch evenly, or a part does not say how it draws.
    """

    def __init__(self, batch_size: int, drawing: Sequence[Any] = (), what: str = "a batch"):
        self._strategy = tf.distribute.get_strategy()
        self.replicas: int = self._strategy.num_replicas_in_sync
        self._rows = batch_size // self.replicas
        self._is_alone = not tf.distribute.has_strategy()
        if self._is_alone:
            return
        if batch_size % self.replicas:
            raise UserError(
                f"{self.replicas} devices cannot share {what} of {batch_size} evenly: choose another "
                "size, or another number of devices in tensorflow_devices.device."
            )
        for part in drawing:
            if not getattr(part, "draws_for_parts", False):
                name = type(part).__name__
                raise UserError(
                    f"{name} draws random numbers, and nothing says that it draws the same numbers "
                    "when several devices share a batch: let it draw with `uniform_rows` and "
                    f"`normal_rows` of networks.layers and set {name}.draws_for_parts = True, or "
                    "choose one device in tensorflow_devices.device."
                )

    def compiled_together(self, pays: bool) -> bool:
        """Whether XLA compiles the whole update, if this `pays`: XLA's programs run on one device."""
        return pays and self._is_alone

    def compiled_apart(self, function: Callable[..., Any], pays: bool) -> Callable[..., Any]:
        """`function`, for one device, compiled by XLA if it `pays` and the whole update is not."""
        if self._is_alone or not pays:
            return function
        return tf.function(function, jit_compile=True, autograph=False)

    def run(
        self,
        step: Callable[..., tuple[tf.Tensor, ...]],
        divided: Sequence[tf.Tensor],
        whole: Sequence[tf.Tensor] = (),
    ) -> tuple[tf.Tensor, ...]:
        """Takes a gradient step, in a graph.

        Args:
          step: called with tensors [B / n, ...] and the tensors in `whole`, by each of n replicas; it
            returns means over its rows, and possibly an output [B / n, ...] for each row.
          divided: tensors [B, ...], which the replicas share.
          whole: tensors that all replicas get.

        Returns:
          The means over all rows and, if there are any, the outputs [B, ...] in the order of the batch.
        """
        if self._is_alone:
            return step(*divided, *whole)
        outputs = self._strategy.run(step, args=(*map(self._parts, divided), *whole))
        means, *rows = outputs
        averaged = self._strategy.reduce(tf.distribute.ReduceOp.MEAN, means, axis=None)
        joined = [
            tf.concat(self._strategy.experimental_local_results(each), axis=0) for each in rows
        ]
        return averaged, *joined

    def averaged(self, gradients: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """A replica's gradients, averaged over all replicas. Call it in a `step`."""
        if self._is_alone:
            return gradients
        context = tf.distribute.get_replica_context()
        means: Sequence[tf.Tensor] = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
        return means

    def _parts(self, rows: tf.Tensor) -> Any:
        """Rows [B, ...] as a value that has its own part for each replica."""

        def part(context: Any) -> tf.Tensor:
            start = context.replica_id_in_sync_group * self._rows
            return rows[start : start + self._rows]

        return self._strategy.experimental_distribute_values_from_function(part)
