"""Checkpoints: the whole state of a run on disk, intact whatever happens to the process.

A directory of checkpoints:

    checkpoint-000000250000/   one state, named after its number (agent steps)
        state.json             the tree's structure and its plain values
        state.npz              its arrays
        manifest.json          written last: sizes and digests of all the files a restore reads
    replay/segment-*.zst       slots of rings (replay memories), immutable, shared by checkpoints
    replay/segment-*.zst.copy  the same again: if one file is lost, the other remains
    kept/best-000000200000/    a state without its replay, kept under a name until it is replaced
    damaged-checkpoint-*/      set aside by `restore` for the user to look at, never read .lock
    held by the process that trains here .checkpoint-*, .pruned-*   being written or removed; left-overs
    are cleared away
"""

from dopamine_lite.checkpointing.checkpointer import Checkpointer
from dopamine_lite.checkpointing.reader import Restored
from dopamine_lite.checkpointing.tree import digest

__all__ = ["Checkpointer", "Restored", "digest"]
