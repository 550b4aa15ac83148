"""What the server says its signatures are, and whether a call fits them."""

from typing import Any

from cmml_tf.client import wire
from cmml_tf.client.encoding import dtype_name
from cmml_tf.client.errors import InputError

SUPPORT = ("support_user_id", "support_item_id", "support_label", "support_length")
QUERY = ("query_user_id", "query_item_id")
INPUTS = {
    "serving_default": SUPPORT + QUERY,
    "explain": SUPPORT + QUERY,
    "encode_context": SUPPORT,
    "score_with_context": ("context", *QUERY),
    "recommend": (*SUPPORT, "user_id"),
}
_FEATURE_INPUTS = ("support_label", "support_length")
_FEATURE_PREFIXES = ("support_item_", "query_item_", "support_user_", "query_user_", "user_")
_VECTOR_RANK = 3
_FIXED = {"support_label": ("float32",), "support_length": ("int32",), "context": ("float32",)}
_OF_IDS, _OF_FEATURES = ("string", "int64"), ("string", "float32")
_RANK = {"support_length": 1, "user_id": 1}


def metadata_request(spec: Any) -> Any:
    """Asks for the signatures of a model."""
    return wire.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])


class Contract:
    """Checked signatures of a served model."""

    def __init__(self, response: Any):
        """Reads the server's metadata."""
        signatures = wire.SignatureDefMap.FromString(response.metadata["signature_def"].value)
        self._signatures = signatures.signature_def
        self._model = response.model_spec.name
        self._checked: dict[str, dict[str, int]] = {}

    def dtypes(self, signature: str) -> dict[str, int]:
        """TensorFlow dtypes of a signature's inputs.

        Raises:
          InputError: The model has no such signature, or its inputs are not the contract's.
        """
        if signature not in self._checked:
            self._checked[signature] = self._check(signature)
        return self._checked[signature]

    def context_width(self) -> int:
        """D, or -1 where the model leaves it open; then it may grow with the support."""
        self.dtypes("score_with_context")
        shape = self._signatures["score_with_context"].inputs["context"].tensor_shape
        return shape.dim[1].size

    def per_pair(self, signature: str) -> set[str]:
        """Outputs of rank 3 and more whose second axis is open: one entry a query pair."""
        outputs = self._signatures[signature].outputs
        return {
            name
            for name, info in outputs.items()
            if len(info.tensor_shape.dim) > 2 and info.tensor_shape.dim[1].size == -1
        }

    def vector_widths(self, signature: str) -> dict[str, int]:
        """Inputs that are vectors, and how many numbers those have."""
        served = self._signatures[signature].inputs
        shapes = {name: info.tensor_shape.dim for name, info in served.items()}
        return {name: dim[2].size for name, dim in shapes.items() if len(dim) == _VECTOR_RANK}

    def _check(self, signature: str) -> dict[str, int]:
        if signature not in self._signatures:
            present = sorted(name for name in self._signatures if not name.startswith("__"))
            raise InputError(
                f"Model `{self._model}` must have the signature `{signature}`. "
                f"It has: {', '.join(present)}."
            )
        served = self._signatures[signature].inputs
        wanted = INPUTS.get(signature) or _FEATURE_INPUTS + tuple(
            sorted(name for name in served if name.startswith(_FEATURE_PREFIXES))
        )
        for name in sorted(set(wanted) ^ set(served)):
            verb = "lacks" if name in wanted else "wants"
            raise InputError(
                f"`{name}`: signature `{signature}` of model `{self._model}` {verb} this input, "
                "so it is not a CMML export that this client knows."
            )
        for name in wanted:
            dtype, rank = dtype_name(served[name].dtype), len(served[name].tensor_shape.dim)
            accepted: tuple[str, ...] = _FIXED.get(name, _OF_IDS)
            expected = _RANK.get(name, 2)
            if signature not in INPUTS and name not in _FEATURE_INPUTS:
                accepted, expected = _of_feature(name, "support_user_id" in served, dtype, rank)
            if dtype not in accepted or rank != expected:
                raise InputError(
                    f"`{name}` of signature `{signature}` must be {' or '.join(accepted)} of rank "
                    f"{expected}. The server says: {dtype} of rank {rank}."
                )
        return {name: served[name].dtype for name in wanted}


def _of_feature(name: str, by_id: bool, dtype: str, rank: int) -> tuple[tuple[str, ...], int]:
    """The dtypes and the rank that an input of `score_features` may have.

    `by_id`: the model takes features beside ids, those of users too for each pair.
    """
    if by_id and name.endswith(("_user_id", "_item_id")):
        return _OF_IDS, 2
    if by_id and dtype == "float32" and rank == _VECTOR_RANK:
        return _OF_FEATURES, rank
    return _OF_FEATURES, 1 if name.startswith("user_") else 2
