"""The gate before serving: a SavedModel that only reads its weights and computes.

A model that adapts by gradients, that trains, counts or calls back into Python is refused.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import function_pb2, graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

_GRADIENT_FUNCTION = re.compile(r"backward|__forward_|grad_fn")
_GRADIENT_OP = re.compile(r"Grad|Backprop")
# A tape's gradient may consist of plain products; the scope of their names tells.
_GRADIENT_SCOPE = re.compile(r"(?:^|/)(?:gradient_tape|gradients(?:_\d+)?)/")
_TRAINING_OP = re.compile(r"^(?:Resource)?(?:Sparse)?Apply[A-Z]")
_WRITING_OP = re.compile(
    r"^(?:Assign|ResourceScatter|Scatter(?:Add|Sub|Mul|Div|Min|Max|Update|Nd(?:Add|Sub|Min|Max|Update))$"
    r"|LookupTable(?:Insert|Remove|Import)|MutableHashTable|MutableDenseHashTable)"
    r"|StridedSliceAssign$"
)
_PYTHON_OPS = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
_GRADIENT_ATTRIBUTES = (
    "_gradient_op_type",
    "forward_function_name",
    "backward_function_name",
    "api_implements",
)
_INITIALISER = "saved_model_main_op"


def check_feed_forward(saved_model_dir: str | Path) -> None:
    """Refuses a SavedModel unless serving it is a forward pass and nothing else.

    The graph and every function of its library are read, called or not. Variables may be assigned
    only by what loads the model: the restore function and the initialisers.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.

    Raises:
      FileNotFoundError: There is no `saved_model.pb`.
      ValueError: The file is damaged, or the model holds gradient, training or state-changing
        operations, Python callbacks, or operations that TensorFlow itself does not register. The
        message names the first.
    """
    path = Path(saved_model_dir) / "saved_model.pb"
    if not path.is_file():
        raise FileNotFoundError(f"There is no SavedModel in {str(saved_model_dir)!r}.")
    try:
        saved = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path.name!r} is not a SavedModel: it cannot be parsed.") from error
    for meta_graph in saved.meta_graphs:
        _check_meta_graph(meta_graph)


def check_feed_forward_function(function: tf.types.experimental.ConcreteFunction) -> None:
    """Refuses a traced function in the same way, before anything is saved.

    Raises:
      ValueError: It holds what `check_feed_forward` refuses; the message names the first.
    """
    graph = function.graph.as_graph_def()
    for node in graph.node:
        _check_node(node, "the graph", may_write=False)
    for inner in graph.library.function:
        _check_function(inner, may_write=False)
    _check_registered_gradients(graph)


def _check_meta_graph(meta_graph: meta_graph_pb2.MetaGraphDef) -> None:
    graph = meta_graph.graph_def
    loading_nodes, loading_functions = _loading_only(meta_graph)
    for node in graph.node:
        _check_node(node, "the graph", may_write=node.name in loading_nodes)
    for function in graph.library.function:
        _check_function(function, may_write=function.signature.name in loading_functions)
    _check_registered_gradients(graph)


def _check_function(function: function_pb2.FunctionDef, may_write: bool) -> None:
    place = f"function `{function.signature.name}`"
    if _GRADIENT_FUNCTION.search(function.signature.name):
        _refuse(place, "belongs to a gradient")
    _check_attributes(function.attr, place)
    for node in function.node_def:
        _check_node(node, place, may_write)


def _check_registered_gradients(graph: graph_pb2.GraphDef) -> None:
    for gradient in graph.library.gradient:
        _refuse(f"function `{gradient.function_name}`", "has a registered gradient")


def _check_node(node: node_def_pb2.NodeDef, place: str, may_write: bool) -> None:
    op = f"op `{node.op}` ({node.name!r} in {place})"
    if node.op in _PYTHON_OPS:
        _refuse(op, "calls Python, which a server does not have")
    if not hasattr(tf.raw_ops, node.op):
        _refuse(op, "is not an operation of TensorFlow, so that a server lacks it")
    if _GRADIENT_OP.search(node.op) or _GRADIENT_SCOPE.search(node.name):
        _refuse(op, "computes a gradient")
    if _TRAINING_OP.search(node.op):
        _refuse(op, "is an optimiser's step")
    if _WRITING_OP.search(node.op) and not may_write:
        _refuse(op, "changes state")
    _check_attributes(node.attr, op)


def _check_attributes(attributes: Iterable[str], owner: str) -> None:
    for name in _GRADIENT_ATTRIBUTES:
        if name in attributes:
            _refuse(owner, f"has the attribute `{name}`, which belongs to a gradient")


def _refuse(what: str, reason: str) -> None:
    raise ValueError(
        f"The exported model is not feed-forward: {what} {reason}. Export a model that adapts in "
        "one forward pass, traced without training."
    )


def _loading_only(meta_graph: meta_graph_pb2.MetaGraphDef) -> tuple[set[str], set[str]]:
    """Nodes and functions that run when the model is loaded and never for a request."""
    loading = [meta_graph.saver_def.restore_op_name]
    loading += meta_graph.collection_def[_INITIALISER].node_list.value
    requests = [
        tensor.name
        for name, signature in meta_graph.signature_def.items()
        if not name.startswith("__saved_model")
        for tensor in signature.outputs.values()
    ]
    graph = meta_graph.graph_def
    loading_nodes, loading_functions = _reached(graph, loading)
    request_nodes, request_functions = _reached(graph, requests)
    return loading_nodes - request_nodes, loading_functions - request_functions


def _reached(graph: graph_pb2.GraphDef, roots: Iterable[str]) -> tuple[set[str], set[str]]:
    """Names of the nodes that the roots need, and of the functions these call."""
    nodes = {node.name: node for node in graph.node}
    library = {function.signature.name: function for function in graph.library.function}
    reached = _closure(
        (_node_name(root) for root in roots),
        lambda name: map(_node_name, nodes[name].input) if name in nodes else (),
    )
    called = (name for node in reached & nodes.keys() for name in _called(nodes[node]))
    return reached, _closure(called, lambda name: _calls_of(library.get(name)))


def _calls_of(function: function_pb2.FunctionDef | None) -> Iterator[str]:
    if function is not None:
        for node in function.node_def:
            yield from _called(node)


def _called(node: node_def_pb2.NodeDef) -> Iterator[str]:
    for value in node.attr.values():
        if value.func.name:
            yield value.func.name
        for function in value.list.func:
            yield function.name


def _closure(start: Iterable[str], neighbours: Callable[[str], Iterable[str]]) -> set[str]:
    found, waiting = set(), list(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(neighbours(name))
    return found


def _node_name(tensor: str) -> str:
    """`^name` and `name:1` are both of the node `name`."""
    return tensor.removeprefix("^").split(":", 1)[0]
