"""Tables of a SavedModel are read whole, and rows taken from what was read.

`tf.gather` of a variable becomes a `ResourceGather`. The first one that runs puts its variable into
a mode, for as long as the process lives, in which every other read copies the whole table: so does
the product of a user's factor with all items. A served table never changes. Read by
`ReadVariableOp` it is handed on as it is, and `GatherV2` takes the rows. One gather left over would
bring all copies back, so all are rewritten, whichever layer they come from.

In training the mode is set already, by what fills the tables, and gathers of the variable itself
are what is fast there. So layers keep them, and only what is saved is rewritten.
"""

from collections.abc import Iterator
from pathlib import Path

from tensorflow.core.framework import node_def_pb2, types_pb2

from cmml_tf.serving.version.saved_functions import saved_functions

_GATHERS = {"ResourceGather": "GatherV2", "ResourceGatherNd": "GatherNd"}


def read_whole_tables(saved_model_dir: Path) -> None:
    """Rewrites a SavedModel in place.

    Args:
      saved_model_dir: The folder with `saved_model.pb`.
    """
    with saved_functions(saved_model_dir) as functions:
        for function in functions:
            # What is computed of the same rows in two places is then computed once.
            added: dict[str, node_def_pb2.NodeDef] = {}
            tables: dict[str, int] = {}
            for node in function.node_def:
                if node.op in _GATHERS:
                    # Not by its name, which may be a number of the process.
                    place = tables.setdefault(node.input[0], len(tables))
                    added.update((new.name, new) for new in _rewritten(node, f"table_{place}/read"))
            function.node_def.extend(added.values())


def _rewritten(node: node_def_pb2.NodeDef, name: str) -> Iterator[node_def_pb2.NodeDef]:
    """Changes a gather of a function in place; yields what it reads now, a table by this name."""
    table, indices, *control = node.input
    dtype, of_indices = node.attr["dtype"].type, node.attr["Tindices"].type
    read = node_def_pb2.NodeDef(op="ReadVariableOp", name=name, input=[table])
    read.attr["dtype"].type = dtype
    inputs = [f"{read.name}:value:0", indices]
    yield read
    batch_dims = node.attr["batch_dims"].i
    gather = _GATHERS[node.op]
    node.op = gather
    node.attr.clear()
    node.attr["Tparams"].type = dtype
    node.attr["Tindices"].type = of_indices
    if gather == "GatherV2":
        # As `ResourceGather` has it, the axis behind those that indices and table share.
        axis = node_def_pb2.NodeDef(op="Const", name=f"{node.name}/axis")
        axis.attr["dtype"].type = types_pb2.DT_INT32
        axis.attr["value"].tensor.dtype = types_pb2.DT_INT32
        axis.attr["value"].tensor.tensor_shape.SetInParent()
        axis.attr["value"].tensor.int_val.append(batch_dims)
        node.attr["Taxis"].type = types_pb2.DT_INT32
        node.attr["batch_dims"].i = batch_dims
        inputs.append(f"{axis.name}:output:0")
        yield axis
    del node.input[:]
    node.input.extend([*inputs, *control])
