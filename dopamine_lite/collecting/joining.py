"""Joins the blocks of several groups of environments into one block of all environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dopamine_lite.collecting.collector import Collected
from dopamine_lite.replay.block import Block


def joined(blocks: Sequence[Block]) -> Block:
    """The block [T, N, ...] of all environments, from `blocks` with the T steps of some of them."""
    first = blocks[0]

    def side_by_side(name: str) -> np.ndarray:
        return np.concatenate([getattr(block, name) for block in blocks], axis=1)

    ended = np.concatenate([block.ended for block in blocks], axis=1)
    order = _order_of_ends([block.ended for block in blocks]) if ended.any() else slice(0)
    masks = first.action_masks is not None
    said = None
    if first.decisions is not None:
        columns = zip(*(block.decisions for block in blocks), strict=True)
        said = type(first.decisions)(*(np.concatenate(each, axis=1) for each in columns))
    return Block(
        observations=side_by_side("observations"),
        actions=side_by_side("actions"),
        rewards=side_by_side("rewards"),
        terminated=side_by_side("terminated"),
        truncated=side_by_side("truncated"),
        final_observations=np.concatenate([block.final_observations for block in blocks])[order],
        action_masks=side_by_side("action_masks") if masks else None,
        final_action_masks=(
            np.concatenate([block.final_action_masks for block in blocks])[order] if masks else None
        ),
        decisions=said,
    )


def _order_of_ends(ended: Sequence[np.ndarray]) -> np.ndarray:
    """The order [E] that sorts ends, listed group after group, by step and then by environment.

    Args:
      ended: for each group, [T, n] bool, true where an episode ended.
    """
    rows = np.concatenate([each.nonzero()[0] for each in ended])
    return np.argsort(rows, kind="stable")  # a step's ends are by group, so by environment


def infos_of_all(
    parts: Sequence[Collected], firsts: Sequence[int]
) -> dict[int, dict[int, Mapping[str, Any]]]:
    """The infos of the episodes that ended, by step and by environment among all N.

    Args:
      parts: the steps that each group collected.
      firsts: the number of each group's first environment.
    """
    infos: dict[int, dict[int, Mapping[str, Any]]] = {}
    for part, first in zip(parts, firsts, strict=True):
        for step, ended in part.infos.items():
            of_step = infos.setdefault(step, {})
            of_step.update({first + index: info for index, info in ended.items()})
    return infos


def metrics_of_all(parts: Sequence[Collected]) -> dict[str, float | np.ndarray]:
    """The means of the actors' numbers, and their arrays one after the other."""
    metrics: dict[str, float | np.ndarray] = {}
    for name in parts[0].metrics:
        values = [part.metrics[name] for part in parts if name in part.metrics]
        if np.ndim(values[0]):
            metrics[name] = np.concatenate([np.asarray(value) for value in values])
        else:
            metrics[name] = float(np.mean(np.asarray(values)))
    return metrics
