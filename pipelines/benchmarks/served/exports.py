"""What `serve` serves: CMML-FiLM (twice), with `tf_keras.layers.GRU`, and next to nothing."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from benchmarks.made_up import made_up_model, support_by_id
from benchmarks.networks.keras_gru import KerasGruEncoder
from cmml_tf.config import ModelConfig
from cmml_tf.serving.export import export_model
from cmml_tf.serving.graph import ServingGraph
from cmml_tf.serving.signatures import serving_signatures
from cmml_tf.serving.vocabulary import vocabulary

USERS, ITEMS, DIMENSION, QUERY = 3000, 3000, 64, 100
MODELS = ("cmml", "keras_gru", "trivial")


class Trivial(tf.Module):
    """One multiplication: what remains is the server."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="value")])
    def double(self, value: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"double": 2.0 * value}


def write_exports(folder: Path) -> Path:
    """Writes the models and the server's configuration for them, which is returned."""
    ids = np.arange(USERS), np.arange(ITEMS)
    network = ModelConfig()
    model = made_up_model(network, (USERS, ITEMS), DIMENSION)
    export_model(model, folder / "cmml", *ids)
    rng = np.random.default_rng(1)
    model.pair_embedding.set_tables(*(rng.normal(0, 0.25, (n, DIMENSION)) for n in (USERS, ITEMS)))
    export_model(model, folder / "other", *ids)

    model.context_encoder = KerasGruEncoder(2 * DIMENSION, network.encoder_units)
    model.context_encoder.build([None, None, 2 * DIMENSION + 2])
    # Not by `export_model`: such a graph holds gradient functions and does not pass its check.
    users, items = vocabulary("user_ids", ids[0], USERS), vocabulary("item_ids", ids[1], ITEMS)
    graph = ServingGraph(model, users, items, folder)
    signatures = {"serving_default": serving_signatures(graph)["serving_default"]}
    tf.saved_model.save(graph, str(folder / "keras_gru" / "1"), signatures=signatures)

    trivial = Trivial()
    tf.saved_model.save(trivial, str(folder / "trivial" / "1"), signatures=trivial.double)
    configured = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" }} '
        for name in MODELS
    )
    config = folder / "models.config"
    config.write_text(f"model_config_list {{ {configured}}}")
    return config


def request_values(B: int = 1) -> dict[str, np.ndarray]:
    """A full request of S = 192 support pairs and one user's 100 candidates, by id."""
    rng = np.random.default_rng(2)
    return {
        **support_by_id(B, (USERS, ITEMS)),
        "query_user_id": np.repeat(rng.integers(0, USERS, (B, 1)), QUERY, axis=1),
        "query_item_id": rng.integers(0, ITEMS, (B, QUERY)),
    }


def predict_request(
    model: str, signature: str, inputs: dict[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """Inputs by name to a signature of a served model."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request
