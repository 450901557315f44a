"""Lets equal graphs share one program, which is most of what the tests of agents would wait for.

XLA compiles for seconds and keeps what it compiled, under the graph's name, until the process ends.
TensorFlow numbers the names, so a second agent of the same settings would be compiled again. Here a
graph is named after what it holds, and no other number finds its way into it: equal graphs have one
name, one program and one place in memory. What is traced and computed stays the same, and TensorFlow
itself refuses a second graph under the name of another.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

import tensorflow as tf
from keras.src.backend.tensorflow.core import name_scope
from tensorflow.core.function.capture.capture_container import FunctionCaptures
from tensorflow.python.eager.polymorphic_function import atomic_function
from tensorflow.python.ops import control_flow_util_v2

_from_func_graph = atomic_function.from_func_graph
_capture_by_value = FunctionCaptures.capture_by_value
_enter_layer = name_scope.__init__


def compile_once() -> None:
    """From here on, in this process."""
    atomic_function.from_func_graph = _named_by_content
    control_flow_util_v2.unique_fn_name = lambda scope, name: (scope + name).replace("/", "_")
    control_flow_util_v2.unique_grad_fn_name = "{}_grad".format
    FunctionCaptures.capture_by_value = _captured_without_number
    name_scope.__init__ = _entered_without_number


def _named_by_content(name: Any, graph: Any, attrs: Any, *arguments: Any, **options: Any) -> Any:
    graph.control_outputs[:] = sorted(graph.control_outputs, key=lambda operation: operation.name)
    # A graph that was traced for its gradient and the gradient's graph name each other.
    if not any("ward_function" in attribute for attribute in attrs or {}):
        content = hashlib.sha256(graph.as_graph_def().SerializeToString(deterministic=True))
        for ends in (graph.inputs, graph.outputs, graph.control_outputs):
            content.update(repr([end.name for end in ends]).encode())
        content.update(repr(sorted((attrs or {}).items())).encode())
        plain = re.sub(r"_\d+$", "", tf.compat.as_str(name))
        numbered = f"{plain}_{int(content.hexdigest()[:15], 16)}"  # below 2^63, as SavedModels ask
        if graph.name == name:  # a loop's, which is found by it
            graph.name = numbered
        name = numbered
    return _from_func_graph(name, graph, attrs, *arguments, **options)


def _captured_without_number(
    captures: FunctionCaptures, graph: Any, tensor: tf.Tensor, name: str | None = None
) -> tf.Tensor:
    if name is None and not tf.is_symbolic_tensor(tensor):
        name = "captured"
    return _capture_by_value(captures, graph, tensor, name)


def _entered_without_number(scope: Any, name: str, **options: Any) -> None:
    """Keras counts the layers of a process; in a graph TensorFlow counts those of one name itself."""
    _enter_layer(scope, name, **options)
    scope._tf_name_scope = tf.name_scope(re.sub(r"_\d+$", "", name))
