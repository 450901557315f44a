"""Config-driven reinforcement-learning experiments on TensorFlow 2 and Gymnasium."""

import os

__version__ = "0.1.0"

# Before NumPy is imported: its threads and TensorFlow's would fight for the cores (measured: two
# training processes side by side fall to a third of their speed). Set it yourself to overrule this.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
