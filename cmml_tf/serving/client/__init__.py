"""Calls a served CMML model: `Client` and its asyncio twin `AsyncClient`.

Holds no model code. TensorFlow is imported for the tensor protos of the gRPC interface only.
"""

from cmml_tf.serving.client.aio import AsyncClient
from cmml_tf.serving.client.answers import Contexts, Explanations, Recommendations, Scores
from cmml_tf.serving.client.context_cache import ContextCache
from cmml_tf.serving.client.errors import InputError, ProxyError, StaleContextError
from cmml_tf.serving.client.sync import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ContextCache",
    "Contexts",
    "Explanations",
    "InputError",
    "ProxyError",
    "Recommendations",
    "Scores",
    "StaleContextError",
]
