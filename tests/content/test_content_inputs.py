"""Features of a request as content, in a SavedModel that knows nothing but them."""

import numpy as np
import tensorflow as tf
from content.made_columns import catalogue

from cmml_tf.content.encoder import fit_content
from cmml_tf.serving.requests.content_inputs import ContentInputs


def test_a_saved_model_encodes_the_features_of_a_request(tmp_path):
    columns = catalogue()
    inputs = ContentInputs("item", fit_content(columns))
    specs = inputs.specs("query", 2)
    assert specs["query_item_picture"].shape.as_list() == [None, None, 12]
    assert specs["query_item_title"].dtype == tf.string
    assert set(inputs.accepted_numbers("query")) == {"query_item_price", "query_item_picture"}

    module = tf.Module()
    module.inputs = inputs
    module.encode = tf.function(
        lambda **given: inputs.encode(given, "query"), autograph=False
    ).get_concrete_function(
        **{name: tf.TensorSpec(one.shape, one.dtype, name) for name, one in specs.items()}
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"encode": module.encode})
    served = tf.saved_model.load(str(tmp_path)).signatures["encode"]

    request = {
        "query_item_brand": np.resize(columns[0].values[:6], [2, 3]).astype(str),
        "query_item_genre": np.array(["|".join(one) for one in columns[1].values[:6]]),
        "query_item_price": columns[2].values[:6].astype(np.float32),
        "query_item_title": columns[3].values[:6].astype(str),
        "query_item_picture": columns[4].values[:6].reshape(2, 3, 12),
    }
    request = {
        name: tf.constant(value if value.ndim > 1 else value.reshape(2, 3))
        for name, value in request.items()
    }
    (found,) = served(**request).values()
    wanted = inputs.graph
    rows = [column._replace(values=column.values[:6]) for column in columns]
    np.testing.assert_allclose(found, fit_content(columns).encode(rows), atol=1e-5)
    assert found.shape == (6, wanted.dimension)

    examples = inputs.examples("query", [2, 4])
    assert {name: value.shape[:2] for name, value in examples.items()} == dict.fromkeys(
        specs, (2, 4)
    )
    (found,) = served(**{name: tf.constant(value) for name, value in examples.items()}).values()
    assert np.abs(found).max() > 0.1
