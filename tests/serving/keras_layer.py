"""Asks an export through Keras 3's TFSMLayer: keras_layer.py VERSION_FOLDER."""

import json
import sys

import keras
import tensorflow as tf

folder = sys.argv[1]
ids = {"support_user_id": [[70]], "query_user_id": [[70, 10]]}
inputs = {name: tf.constant(value, tf.int64) for name, value in ids.items()}
inputs |= {"support_item_id": tf.constant([["film a ü"]]), "support_label": tf.constant([[1.0]])}
inputs |= {"support_length": tf.constant([1]), "query_item_id": tf.constant([["film b ü", "x"]])}
model = tf.saved_model.load(folder)
scores = [
    model.signatures["serving_default"](**inputs),
    model(inputs),
    model.score(inputs),
    keras.layers.TFSMLayer(folder)(inputs),
    keras.layers.TFSMLayer(folder, call_endpoint="score")(inputs),
    keras.layers.TFSMLayer(folder, call_endpoint="explain")(inputs),
]
answers = [keras.__version__, *(answer["score"].numpy().tolist() for answer in scores)]
sys.stdout.write(json.dumps(answers))
