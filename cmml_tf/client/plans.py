"""What each method sends and makes of the answers, written once for both clients.

A plan is a generator: it yields requests, is sent the responses (or has the error of the call
thrown into it), and returns the result. The clients only carry requests to the network.
"""

from collections.abc import Generator, Iterable
from typing import Any, NamedTuple, TypeVar

import grpc
import numpy as np

from cmml_tf.client import examples, features, requests, wire
from cmml_tf.client.answers import (
    Contexts,
    ExampleScores,
    Explanations,
    FeatureScores,
    Recommendations,
    Scores,
)
from cmml_tf.client.context_cache import ContextCache
from cmml_tf.client.contract import Contract, metadata_request
from cmml_tf.client.encoding import fill_numeric
from cmml_tf.client.errors import StaleContextError

_Result = TypeVar("_Result")
_SWAPS = 3
"""How many hot swaps in a row a scoring call follows before it gives the cache up."""


class Call(NamedTuple):
    """One request: the stub method's name, and the message."""

    method: str
    request: Any


Plan = Generator[Call, Any, _Result]


def _is_not_found(error: grpc.RpcError) -> bool:
    return error.code() is grpc.StatusCode.NOT_FOUND


class Plans:
    """All plans for one served model."""

    def __init__(
        self, model_name: str, version: int | None, label: str | None, cache: ContextCache | None
    ):
        """Addresses a model: its newest version, a fixed one, or the one of a label.

        Raises:
          ValueError: Both a version and a label.
        """
        if version is not None and label is not None:
            raise ValueError(
                "`version` and `label` exclude each other. "
                f"Received: version={version}, label={label!r}."
            )
        self._model_name = model_name
        self._version = version
        self._label = label
        self._cache = cache
        self._contract: Contract | None = None
        self._newest: int | None = version
        """The version that answered last without being asked for by number."""

    def _address(self, spec: Any, version: int | None = None) -> None:
        spec.name = self._model_name
        version = self._version if version is None else version
        if version is not None:
            spec.version.value = version
        elif self._label is not None:
            spec.version_label = self._label

    def _request(self, signature: str, version: int | None = None) -> Any:
        request = wire.PredictRequest()
        self._address(request.model_spec, version)
        request.model_spec.signature_name = signature
        return request

    def _asked_contract(self) -> Plan[Contract]:
        spec = wire.ModelSpec()
        self._address(spec)
        response = yield Call("GetModelMetadata", metadata_request(spec))
        self._contract = contract = Contract(response)
        return contract

    def _asked(self, method: str, request: Any) -> Plan[Any]:
        """The response to a request that a signature answers.

        Raises:
          InputError: The model refuses the request.
        """
        try:
            return (yield Call(method, request))
        except grpc.RpcError as error:
            refused = error.code() is grpc.StatusCode.INVALID_ARGUMENT
            if refused or error.code() is grpc.StatusCode.FAILED_PRECONDITION:
                self._contract = None  # perhaps a new version with other signatures: ask again
            if refused:
                raise requests.refused_request(error) from error
            raise

    def _predict(
        self, request: Any, given: requests.Sent | np.ndarray
    ) -> Plan[tuple[dict[str, np.ndarray], int]]:
        """Outputs and the version they come from.

        Args:
          request: What is sent.
          given: The support or the contexts in it, to tell which tasks the model refuses.

        Raises:
          InputError: The model refuses the request, or some of its tasks.
        """
        response = yield from self._asked("Predict", request)
        outputs = requests.read_outputs(response)
        requests.check_valid(outputs.pop("valid", None), given)
        return outputs, response.model_spec.version.value

    def score(
        self, user: Any, item: Any, label: Any, query_user: Any, query_item: Any, length: Any
    ) -> Plan[Scores]:
        """See `Client.score`."""
        contract = self._contract or (yield from self._asked_contract())
        signature = "serving_default" if self._cache is None else "encode_context"
        support = requests.read_support(contract, signature, user, item, label, length)
        query = requests.read_query(
            contract,
            "serving_default" if self._cache is None else "score_with_context",
            query_user,
            query_item,
            len(support.lengths),
            support.user.single,
        )
        if self._cache is not None:
            for _ in range(_SWAPS):
                try:
                    context, version = yield from self._contexts(self._cache, support)
                    return (yield from self._score_context(context, version, query))
                except grpc.RpcError as error:
                    if not _is_not_found(error) or self._version is not None:
                        raise
                if self._newest is not None:
                    self._cache.drop_version(self._newest)
                    self._newest = None
        # One request is answered by one version, whatever comes and goes.
        request = self._request("serving_default")
        support.fill(request)
        query.fill(request)
        outputs, version = yield from self._predict(request, support)
        return _scores(outputs, version, query.user.lengths, query.user.single)

    def _score_context(
        self, context: np.ndarray, version: int, query: requests.Query
    ) -> Plan[Scores]:
        request = self._request("score_with_context", version)
        fill_numeric(request.inputs["context"], context, wire.DT_FLOAT)
        query.fill(request)
        outputs, answered = yield from self._predict(request, context)
        return _scores(outputs, answered, query.user.lengths, query.user.single)

    def _encode(
        self, support: requests.Support, version: int | None = None
    ) -> Plan[tuple[dict[str, np.ndarray], int]]:
        request = self._request("encode_context", version)
        support.fill(request)
        return (yield from self._predict(request, support))

    def _contexts(
        self, cache: ContextCache, support: requests.Support
    ) -> Plan[tuple[np.ndarray, int]]:
        """Contexts of all tasks, all of one version, from the cache where it has them."""
        digests = support.digests()
        # Tasks of the same support are encoded once.
        task_of: dict[bytes, int] = {}
        for task, digest in enumerate(digests):
            task_of.setdefault(digest, task)
        version, pinned = self._newest, None
        found = {} if version is None else _cached(cache, version, task_of)
        missing = [digest for digest in task_of if digest not in found]
        while version is None or missing:
            tasks = [task_of[digest] for digest in missing]
            outputs, answered = yield from self._encode(support.select(tasks), pinned)
            encoded = dict(zip(missing, outputs["context"], strict=True))
            for digest, context in encoded.items():
                cache.put(answered, digest, context.copy())
            if answered != version:
                # A newer version answered: contexts of the older one are of no use beside it.
                self._newest = version = pinned = answered
                found = _cached(cache, version, task_of.keys() - encoded.keys())
            found |= encoded
            missing = [digest for digest in task_of if digest not in found]
        return _side_by_side([found[digest] for digest in digests]), version

    def encode_context(self, user: Any, item: Any, label: Any, length: Any) -> Plan[Contexts]:
        """See `Client.encode_context`."""
        contract = self._contract or (yield from self._asked_contract())
        support = requests.read_support(contract, "encode_context", user, item, label, length)
        outputs, version = yield from self._encode(support)
        return Contexts(outputs["context"], outputs["support_known"], version, support.user.single)

    def score_with_context(
        self, contexts: Contexts, query_user: Any, query_item: Any
    ) -> Plan[Scores]:
        """See `Client.score_with_context`."""
        contract = self._contract or (yield from self._asked_contract())
        context = requests.read_context(contract, contexts.context)
        query = requests.read_query(
            contract, "score_with_context", query_user, query_item, len(context), contexts.single
        )
        try:
            return (yield from self._score_context(context, contexts.version, query))
        except grpc.RpcError as error:
            if not _is_not_found(error):
                raise
            raise StaleContextError(
                f"Version {contexts.version} of model {self._model_name}, which encoded this "
                "context, is no longer served. Encode the support again."
            ) from error

    def recommend(
        self, user: Any, item: Any, label: Any, user_id: Any, length: Any
    ) -> Plan[Recommendations]:
        """See `Client.recommend`."""
        contract = self._contract or (yield from self._asked_contract())
        support = requests.read_support(contract, "recommend", user, item, label, length)
        single = support.user.single
        users = requests.read_users(contract, user_id, len(support.lengths), single)
        request = self._request("recommend")
        support.fill(request)
        requests.fill_tasks(request, "user_id", users, support.dtypes["user_id"])
        outputs, version = yield from self._predict(request, support)
        items = requests.text_ids(outputs["item_id"])
        return Recommendations(
            requests.per_task(items, single), requests.per_task(outputs["score"], single), version
        )

    def explain(
        self, user: Any, item: Any, label: Any, query_user: Any, query_item: Any, length: Any
    ) -> Plan[Explanations]:
        """See `Client.explain`."""
        contract = self._contract or (yield from self._asked_contract())
        support = requests.read_support(contract, "explain", user, item, label, length)
        single = support.user.single
        query = requests.read_query(
            contract, "explain", query_user, query_item, len(support.lengths), single
        )
        request = self._request("explain")
        support.fill(request)
        query.fill(request)
        outputs, version = yield from self._predict(request, support)
        # What belongs to query pairs is cut to each task's own; the rest belongs to the task.
        lengths = query.user.lengths
        score = requests.trim(outputs.pop("score"), lengths, single)
        outputs.pop("query_known", None)
        pairs = contract.per_pair("explain")
        details = {
            name: requests.trim(array, lengths, single)
            if name in pairs
            else requests.per_task(array, single)
            for name, array in outputs.items()
        }
        return Explanations(score, details, version)

    def score_features(
        self, tables: features.Tables, label: Any, length: Any
    ) -> Plan[FeatureScores | Scores]:
        """See `Client.score_features`."""
        contract = self._contract or (yield from self._asked_contract())
        given = features.read_features(contract, tables, label, length)
        request = self._request(features.SIGNATURE)
        given.fill(request)
        outputs, version = yield from self._predict(request, given)
        single = given.label.single
        if "context" not in outputs:
            return _scores(outputs, version, given.queries, single)
        return FeatureScores(
            requests.trim(outputs["score"], given.queries, single),
            requests.per_task(outputs["context"], single),
            version,
        )

    def score_examples(self, given: Any, context: Any) -> Plan[ExampleScores]:
        """See `Client.score_examples`."""
        request = wire.RegressionRequest()
        self._address(request.model_spec)
        request.model_spec.signature_name = examples.SIGNATURE
        examples.fill_input(request.input, given, context)
        response = yield from self._asked("Regress", request)
        score = np.array([one.value for one in response.result.regressions], np.float32)
        requests.check_scores(score)
        return ExampleScores(score, response.model_spec.version.value)

    def status(self) -> Call:
        """Asks which versions there are."""
        request = wire.GetModelStatusRequest()
        request.model_spec.name = self._model_name
        if self._version is not None:
            request.model_spec.version.value = self._version
        return Call("GetModelStatus", request)


def is_ready(response: Any) -> bool:
    """Whether a version answers."""
    return any(version.state == wire.AVAILABLE for version in response.model_version_status)


def _cached(cache: ContextCache, version: int, digests: Iterable[bytes]) -> dict[bytes, np.ndarray]:
    """The contexts that the cache has."""
    found = {digest: cache.get(version, digest) for digest in digests}
    return {digest: context for digest, context in found.items() if context is not None}


def _side_by_side(contexts: list[np.ndarray]) -> np.ndarray:
    """Contexts [B, D] of supports of any size: zeros fill up the shorter ones, and are not read."""
    width = max(map(len, contexts))
    together = np.zeros((len(contexts), width), np.float32)
    for row, context in zip(together, contexts, strict=True):
        row[: len(context)] = context
    return together


def _scores(
    outputs: dict[str, np.ndarray], version: int, lengths: list[int], single: bool
) -> Scores:
    names = Scores._fields
    own = {name: requests.trim(outputs[name], lengths, single) for name in names if name in outputs}
    return Scores(**own, version=version)
