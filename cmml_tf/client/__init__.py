"""Calls a served CMML model: `Client` and its asyncio twin `AsyncClient`.

Needs numpy, grpcio and protobuf, and nothing else of this library: a service that asks a model
needs no TensorFlow.
"""

from cmml_tf.client.aio import AsyncClient
from cmml_tf.client.answers import (
    Contexts,
    ExampleScores,
    Explanations,
    FeatureScores,
    Recommendations,
    Scores,
)
from cmml_tf.client.base import EndedCall, Observer
from cmml_tf.client.clicks import LabelledSupport, support_from_clicks
from cmml_tf.client.context_cache import ContextCache
from cmml_tf.client.errors import InputError, ProxyError, StaleContextError
from cmml_tf.client.sync import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ContextCache",
    "Contexts",
    "EndedCall",
    "ExampleScores",
    "Explanations",
    "FeatureScores",
    "InputError",
    "LabelledSupport",
    "Observer",
    "ProxyError",
    "Recommendations",
    "Scores",
    "StaleContextError",
    "support_from_clicks",
]
