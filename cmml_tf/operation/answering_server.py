"""A server that answers for an export, through the client that services use."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import numpy as np

from cmml_tf.client import Client, Contexts
from cmml_tf.operation.loaded_export import Export
from cmml_tf.serving.version.probes import same_scores

_SECONDS = 60.0


class AnsweringServer:
    """Asks a server's version of a model; use it as a context manager.

    Args:
      target: `host:port` of its gRPC port.
      model_name: Name the model is served under.
    """

    def __init__(self, target: str, model_name: str) -> None:
        self._client = Client(target, model_name, timeout=_SECONDS)
        self.version: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def encode_context(self, inputs: Mapping[str, np.ndarray]) -> Contexts:
        """Support inputs of B tasks -> their contexts.

        Raises:
          grpc.RpcError: The server did not answer.
        """
        rows = (inputs[f"support_{name}"].tolist() for name in ("user_id", "item_id", "label"))
        found = self._client.encode_context(*rows, support_length=inputs["support_length"])
        self.version = found.version
        return found

    def score_with_context(
        self, context: Contexts, user: np.ndarray, item: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Contexts and ids [B, Q] -> all that is said of the pairs, [B, Q] each, by name.

        Raises:
          StaleContextError: The server has changed its version meanwhile.
          grpc.RpcError: The server did not answer.
        """
        return self._said(self._client.score_with_context(context, user.tolist(), item.tolist()))

    def score_features(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Inputs of `score_features` by name -> what `score_with_context` says of its pairs.

        Raises:
          grpc.RpcError: The server did not answer.
        """

        def table(prefix: str) -> dict[str, Any]:
            return {
                name.removeprefix(prefix): [*value] if value.ndim > 2 else value.tolist()
                for name, value in inputs.items()
                if name.startswith(prefix)
            }

        found = self._client.score_features(
            table("support_item_"),
            inputs["support_label"].tolist(),
            table("query_item_"),
            support_users=table("support_user_"),
            query_users=table("query_user_"),
            support_length=inputs["support_length"],
        )
        return self._said(found)

    def _said(self, found: Any) -> dict[str, np.ndarray]:
        said: dict[str, Any] = found._asdict()
        self.version = said.pop("version")
        return {name: np.stack(rows) for name, rows in said.items() if rows is not None}

    def serves(self, export: Export) -> bool:
        """Whether it gives the scores that an export's manifest has for its probe requests."""
        probes = export.manifest["probes"]
        found = self._client.score(**probes["inputs"])
        self.version = found.version
        return same_scores(np.stack([*found.score]), probes["score"])
