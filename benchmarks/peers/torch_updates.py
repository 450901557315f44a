"""Counts the gradient steps of a framework on PyTorch, whatever it calls them."""

from __future__ import annotations

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook


class TorchUpdates:
    """Counts the steps of all optimizers in the process from now on.

    Args:
      threads: PyTorch's threads within an operation; 0: as many as it takes itself.
    """

    def __init__(self, threads: int):
        if threads:
            torch.set_num_threads(threads)
        self._count = self._parameters = 0
        register_optimizer_step_post_hook(self._step)

    def _step(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        self._count += 1
        if not self._parameters:
            held = (group["params"] for group in optimizer.param_groups)
            self._parameters = sum(
                each.numel() for group in held for each in group if each.requires_grad
            )

    def count(self) -> int:
        """The gradient steps taken."""
        return self._count

    def parameters(self) -> int:
        """How many numbers the first optimizer that took a step trains."""
        return self._parameters
