"""Weights of the networks are constants in the graph of an export.

A served weight never changes. As a variable it costs each request a handle and a read, and the
handle is handed through every call, branch and loop on the way to where it is read; a third of the
operations of a small request were that. As a constant it stands where it is read, and what is
computed of constants alone, such as the exponential of a weight, is computed once, when a version
is loaded. Tables of users and items stay variables: they are large, and in the graph once.

The weights stay in `variables/` and among the objects of the SavedModel, where whoever reads these
looks for them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

LARGEST = 2**18
"""Values of the largest weight that is made a constant: each reading of it is a copy of 1 MiB."""

_CALLS = {
    "PartitionedCall": ("f",),
    "StatefulPartitionedCall": ("f",),
    "If": ("then_branch", "else_branch"),
    "StatelessIf": ("then_branch", "else_branch"),
    "Case": ("branches",),
    "StatelessCase": ("branches",),
    "While": ("cond", "body"),
    "StatelessWhile": ("cond", "body"),
}
"""Operations that call functions, and the attributes that name these."""
_LOOPS = ("While", "StatelessWhile")
_BRANCHES = ("If", "StatelessIf", "Case", "StatelessCase")

Bound = dict[str, dict[int, int]]
"""Function -> place of an argument -> the variable that it always is, as a node of the objects."""


def freeze_weights(saved_model_dir: Path, weights: Iterable[tf.Variable]) -> None:
    """Rewrites a SavedModel in place.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
      weights: What the saved object holds in its list `weights`, in its order. One that is too
        large, is written anywhere, or is not the same in all calls of a function stays a variable.
    """
    file = saved_model_dir / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in saved.meta_graphs:
        nodes = _listed(meta_graph, "weights")
        values = {
            nodes[place]: one.numpy()
            for place, one in enumerate(weights)
            if one.shape.num_elements() <= LARGEST
        }
        _freeze(meta_graph, values)
    file.write_bytes(saved.SerializeToString(deterministic=True))


def _listed(meta_graph: meta_graph_pb2.MetaGraphDef, name: str) -> dict[int, int]:
    """Place in a list of the saved object -> node of the objects."""
    objects = meta_graph.object_graph_def.nodes
    node = next(child.node_id for child in objects[0].children if child.local_name == name)
    return {int(c.local_name): c.node_id for c in objects[node].children if c.local_name.isdigit()}


def _freeze(meta_graph: meta_graph_pb2.MetaGraphDef, values: dict[int, np.ndarray]) -> None:
    library = {one.signature.name: one for one in meta_graph.graph_def.library.function}
    bound: Bound = {}
    while values:
        bound, unfit = _bound(meta_graph, library, values.keys())
        if not unfit:
            break
        values = {node: value for node, value in values.items() if node not in unfit}
    if not values:
        return
    bodies = _bodies(library)
    for name, given in bound.items():
        if given:
            _freeze_function(library[name], given, values, bound, name in bodies)
    for concrete in meta_graph.object_graph_def.concrete_functions.values():
        kept = [node for node in concrete.bound_inputs if node not in values]
        concrete.bound_inputs[:] = kept
    for node in meta_graph.graph_def.node:
        _drop_passed(node, bound)


def _bodies(library: Mapping[str, function_pb2.FunctionDef]) -> set[str]:
    """Functions that hand their arguments on to the next round of a loop."""
    nodes = (node for function in library.values() for node in function.node_def)
    return {node.attr["body"].func.name for node in nodes if node.op in _LOOPS}


def _bound(
    meta_graph: meta_graph_pb2.MetaGraphDef,
    library: Mapping[str, function_pb2.FunctionDef],
    variables: Collection[int],
) -> tuple[Bound, set[int]]:
    """The arguments that are these variables, and variables that cannot be constants."""
    bound: Bound = {}
    unfit: set[int] = set()
    bodies = _bodies(library)
    waiting: list[tuple[str, dict[int, int]]] = []
    for name, concrete in meta_graph.object_graph_def.concrete_functions.items():
        first = len(library[name].signature.input_arg) - len(concrete.bound_inputs)
        inputs = enumerate(concrete.bound_inputs, first)
        waiting.append((name, {place: node for place, node in inputs if node in variables}))
    while waiting:
        name, given = waiting.pop()
        if name in bound:
            unfit |= {node for _, node in bound[name].items() ^ given.items()}
            continue
        bound[name] = given
        function = library[name]
        names = {function.signature.input_arg[place].name: node for place, node in given.items()}
        for node in function.node_def:
            passed = {place: names[one] for place, one in enumerate(node.input) if one in names}
            for called, first in _called(node):
                waiting.append((called, {place - first: one for place, one in passed.items()}))
            if node.op not in _CALLS and node.op != "ReadVariableOp":
                unfit |= set(passed.values())
        # Nothing but a loop's next round may take the variable itself.
        expected = given if name in bodies else {}
        for place, output in enumerate(function.signature.output_arg):
            returned = names.get(function.ret[output.name])
            if returned != expected.get(place):
                both = (returned, expected.get(place))
                unfit |= {one for one in both if one is not None}
    return bound, unfit


def _called(node: node_def_pb2.NodeDef) -> Iterator[tuple[str, int]]:
    """Functions that an operation calls, and which of its inputs is their first argument."""
    first = int(node.op in _BRANCHES)
    for attribute in _CALLS.get(node.op, ()):
        value = node.attr[attribute]
        for function in value.list.func if attribute == "branches" else [value.func]:
            yield function.name, first


def _freeze_function(
    function: function_pb2.FunctionDef,
    given: Mapping[int, int],
    values: Mapping[int, np.ndarray],
    bound: Bound,
    is_body: bool,
) -> None:
    arguments = function.signature.input_arg
    names = {arguments[place].name: node for place, node in given.items()}
    renamed: dict[str, str] = {}
    for node in function.node_def:
        if node.op == "ReadVariableOp" and node.input[0] in names:
            _make_constant(node, values[names[node.input[0]]])
            renamed[f"{node.name}:value:0"] = f"{node.name}:output:0"
            continue
        outputs = len(node.attr["T"].list.type) if node.op in _LOOPS else 0
        dropped = _drop_passed(node, bound)
        kept = [place for place in range(outputs) if place not in dropped]
        for new, old in enumerate(kept):
            if new != old:
                renamed[f"{node.name}:output:{old}"] = f"{node.name}:output:{new}"
    for node in function.node_def:
        node.input[:] = [renamed.get(one, one) for one in node.input]
    for name, tensor in function.ret.items():
        function.ret[name] = renamed.get(tensor, tensor)
    if is_body:
        for place in given:
            del function.ret[function.signature.output_arg[place].name]
        _keep(function.signature.output_arg, given)
    _keep(arguments, given)
    if "_input_shapes" in function.attr:
        _keep(function.attr["_input_shapes"].list.shape, given)
    for entries in (function.arg_attr, function.resource_arg_unique_id):
        _renumber(entries, given)


def _make_constant(node: node_def_pb2.NodeDef, value: np.ndarray) -> None:
    node.op = "Const"
    node.attr.clear()
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    node.attr["dtype"].type = node.attr["value"].tensor.dtype
    del node.input[:]


def _drop_passed(node: node_def_pb2.NodeDef, bound: Bound) -> set[int]:
    """Takes from a call what its functions do not take any more; returns which inputs these were.

    Of a loop, they were outputs too.
    """
    dropped: set[int] = set()
    for called, first in _called(node):
        dropped |= {place + first for place in bound.get(called, ())}
    if not dropped:
        return dropped
    _keep(node.input, dropped)
    first = int(node.op in _BRANCHES)
    arguments = {place - first for place in dropped}
    _keep(node.attr["T" if node.op in _LOOPS else "Tin"].list.type, arguments)
    if node.op in _LOOPS:
        for name in {"output_shapes", "_output_shapes"} & set(node.attr):
            _keep(node.attr[name].list.shape, dropped)
        node.attr["_num_original_outputs"].i = len(node.attr["T"].list.type)
    if "_read_only_resource_inputs" in node.attr:
        read_only = node.attr["_read_only_resource_inputs"].list.i
        kept = [place for place in read_only if place not in dropped]
        read_only[:] = [place - sum(one < place for one in dropped) for place in kept]
    return dropped


def _keep(values: Any, dropped: Collection[int]) -> None:
    """Takes the values at some places out of a repeated field."""
    for place in sorted(dropped, reverse=True):
        if place < len(values):
            del values[place]


def _renumber(entries: Any, dropped: Collection[int]) -> None:
    """Takes arguments out of a map by their place."""
    kept = {place: value for place, value in entries.items() if place not in dropped}
    moved = {place - sum(one < place for one in dropped): kept[place] for place in kept}
    copies = {
        place: value
        if isinstance(value, int)
        else type(value).FromString(value.SerializeToString())
        for place, value in moved.items()
    }
    entries.clear()
    for place, value in copies.items():
        if isinstance(value, int):
            entries[place] = value
        else:
            entries[place].CopyFrom(value)
