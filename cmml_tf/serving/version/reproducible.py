"""Two exports of one model are equal byte for byte, wherever and whenever they were written.

TensorFlow names functions by a counter of the process and tables by the path of their vocabulary's
temporary file, writes functions and maps in the order of a hash, and adds a random number. None of
this has a meaning behind the save: names are counted anew here, in the order of use,
and the path is taken out. With it goes what an export told of the machine.
"""

import copy
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from tensorflow.core.framework import attr_value_pb2, function_pb2, node_def_pb2
from tensorflow.core.protobuf import fingerprint_pb2, meta_graph_pb2, saved_model_pb2

_NAME = re.compile(r"[A-Za-z0-9_<>]+")
_COUNTED = re.compile(r"_\d+$")


def make_reproducible(saved_model_dir: Path, scratch: Path) -> None:
    """Rewrites a SavedModel in place.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
      scratch: The folder that held the vocabulary files; its path is removed wherever it is named.
    """
    file = saved_model_dir / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    names: dict[str, str] = {}
    for meta_graph in saved.meta_graphs:
        names |= _function_names(meta_graph)
    path = f"{scratch}/"

    @cache
    def renamed(text: str) -> str:
        return _NAME.sub(lambda match: names.get(match[0], match[0]), text).replace(path, "")

    _rewrite(saved, renamed)
    for meta_graph in saved.meta_graphs:
        meta_graph.graph_def.library.function.sort(key=lambda one: one.signature.name)
        for one in meta_graph.graph_def.library.function:
            _name_by_place(one)
    content = saved.SerializeToString(deterministic=True)
    file.write_bytes(content)
    _write_fingerprint(saved_model_dir, saved, content)


def _rewrite(message: Message, renamed: Callable[[str], str]) -> None:
    """Renames every text in a message, keys of maps and bytes that are text included."""
    for field, value in message.ListFields():
        if isinstance(value, str | bytes):
            setattr(message, field.name, _new(value, renamed))
        elif isinstance(value, Message):
            _rewrite(value, renamed)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            _rewrite_map(value, renamed)
        elif field.message_type is not None:
            for one in value:
                _rewrite(one, renamed)
        elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            value[:] = [_new(one, renamed) for one in value]


def _rewrite_map(entries: Any, renamed: Callable[[str], str]) -> None:
    """New keys may be old ones of others: where one is new, all are put in anew."""
    if all(not isinstance(key, str) or renamed(key) == key for key in entries):
        for key, value in entries.items():
            if isinstance(value, Message):
                _rewrite(value, renamed)
            elif isinstance(value, str | bytes):
                entries[key] = _new(value, renamed)
        return
    kept = {key: copy.deepcopy(value) for key, value in entries.items()}
    entries.clear()
    for key, value in kept.items():
        new = renamed(key) if isinstance(key, str) else key
        if isinstance(value, Message):
            _rewrite(value, renamed)
            entries[new].CopyFrom(value)
        else:
            entries[new] = _new(value, renamed) if isinstance(value, str | bytes) else value


def _new(value: str | bytes, renamed: Callable[[str], str]) -> str | bytes:
    if isinstance(value, str):
        return renamed(value)
    try:
        return renamed(value.decode()).encode()
    except UnicodeDecodeError:  # numbers of a tensor
        return value


def _function_names(meta_graph: meta_graph_pb2.MetaGraphDef) -> dict[str, str]:
    """Old names to new ones, numbered in the order of the calls."""
    library = {one.signature.name: one for one in meta_graph.graph_def.library.function}
    order: dict[str, None] = {}
    for name in _called(meta_graph.graph_def.node):
        _visit(name, library, order)
    for node in meta_graph.object_graph_def.nodes:
        for name in [
            *node.function.concrete_functions,
            node.bare_concrete_function.concrete_function_name,
        ]:
            _visit(name, library, order)
    for name in sorted(library):
        _visit(name, library, order)
    return {name: f"{_COUNTED.sub('', name)}_{index}" for index, name in enumerate(order)}


def _visit(name: str, library: dict[str, function_pb2.FunctionDef], order: dict[str, None]) -> None:
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in library and current not in order:
            order[current] = None
            waiting += reversed([*_called(library[current].node_def)])


def _called(nodes: Iterable[node_def_pb2.NodeDef]) -> Iterator[str]:
    for node in nodes:
        for _, value in sorted(node.attr.items()):
            yield from _functions_of(value)


def _functions_of(value: attr_value_pb2.AttrValue) -> Iterator[str]:
    for function in (value.func, *value.list.func):
        if function.name:
            yield function.name


def _name_by_place(function: function_pb2.FunctionDef) -> None:
    """Arguments, outputs and operations of a function by their place in it.

    Captured arguments are named by a counter, operations by layers that Keras numbers in each
    process; callers know arguments and outputs by their place alone.
    """
    new = {}
    for place, argument in enumerate(function.signature.input_arg):
        said = function.arg_attr[place].attr.get("_user_specified_name")
        if said is None or said.s.decode() != argument.name or _COUNTED.search(argument.name):
            new[argument.name] = f"argument_{place}"
            argument.name = new[argument.name]
            if said is not None:
                said.s = argument.name.encode()
    scopes = _Scopes()
    for node in function.node_def:
        new[node.name] = scopes.name(node.name)
        node.name = new[node.name]
    for node in function.node_def:
        inputs = [_renamed(tensor, new) for tensor in node.input]
        del node.input[:]
        node.input.extend(inputs)
    returned = {key: _renamed(tensor, new) for key, tensor in function.ret.items()}
    function.ret.clear()
    for place, argument in enumerate(function.signature.output_arg):
        function.ret[f"output_{place}"] = returned[argument.name]
        argument.name = f"output_{place}"
    kept = sorted(new.get(node, node) for node in function.control_ret.values())
    function.control_ret.clear()
    del function.signature.control_output[:]
    for node in kept:
        function.control_ret[node] = node
        function.signature.control_output.append(node)


class _Scopes:
    """`mlp_2/dense_20/MatMul` to `mlp/dense/MatMul`, where it is the first of its name."""

    def __init__(self) -> None:
        self._new: dict[tuple[str, str], str] = {}
        self._count: Counter[tuple[str, str]] = Counter()

    def name(self, path: str) -> str:
        parent = ""
        for part in path.split("/"):
            if (parent, part) not in self._new:
                base = _COUNTED.sub("", part)
                count = self._count[parent, base]
                self._count[parent, base] += 1
                self._new[parent, part] = f"{base}_{count}" if count else base
            parent = f"{parent}/{self._new[parent, part]}" if parent else self._new[parent, part]
        return parent


def _renamed(tensor: str, new: Mapping[str, str]) -> str:
    """`name:output:0` or `^name` with another name."""
    control = "^" if tensor.startswith("^") else ""
    name, *rest = tensor.removeprefix("^").split(":")
    return control + ":".join([new.get(name, name), *rest])


def _write_fingerprint(folder: Path, saved: saved_model_pb2.SavedModel, content: bytes) -> None:
    """TensorFlow's `fingerprint.pb`, of what stands in the folder now; without a random number."""
    graph = saved.meta_graphs[0]
    signatures = [
        signature.SerializeToString(deterministic=True)
        for _, signature in sorted(graph.signature_def.items())
    ]
    objects = graph.object_graph_def.SerializeToString(deterministic=True)
    path = folder / "fingerprint.pb"
    fingerprint = fingerprint_pb2.FingerprintDef.FromString(path.read_bytes())
    fingerprint.saved_model_checksum = _hash(content)
    fingerprint.graph_def_program_hash = _hash(
        graph.graph_def.SerializeToString(deterministic=True)
    )
    fingerprint.signature_def_hash = _hash(b"".join(signatures))
    fingerprint.saved_object_graph_hash = _hash(objects)
    fingerprint.checkpoint_hash = _hash((folder / "variables" / "variables.index").read_bytes())
    fingerprint.ClearField("uuid")
    path.write_bytes(fingerprint.SerializeToString(deterministic=True))


def _hash(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")
