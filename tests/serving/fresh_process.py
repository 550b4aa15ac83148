"""Answers requests with exported models where cmml_tf cannot be imported (see test_export).

Called as `fresh_process.py CASES.json`: a list of [version folder, requests.npz, answers.npz].
Every model is run in a session, as TensorFlow Serving does, and the first one is loaded by Python
too, whose answer goes to a file of its own, answers.npz.python.npz.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

# From here on `import cmml_tf` raises ImportError, and so does every module of it.
sys.modules["cmml_tf"] = None
tf.get_logger().setLevel("ERROR")


def run_session(version, inputs):
    # Each graph is run once: to rewrite it for speed would take longer.
    config = tf.compat.v1.ConfigProto()
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    with tf.compat.v1.Session(graph=tf.Graph(), config=config) as session:
        meta_graph = tf.compat.v1.saved_model.load(session, ["serve"], version)
        signature = meta_graph.signature_def["serving_default"]
        outputs = {name: info.name for name, info in signature.outputs.items()}
        return session.run(outputs, {signature.inputs[name].name: inputs[name] for name in inputs})


def run_python(version, inputs):
    signature = tf.saved_model.load(version).signatures["serving_default"]
    answer = signature(**{name: tf.constant(value) for name, value in inputs.items()})
    return {name: value.numpy() for name, value in answer.items()}


for number, (version, requests, answers) in enumerate(json.loads(Path(sys.argv[1]).read_text())):
    with np.load(requests) as stored:
        inputs = dict(stored)
    np.savez(answers, **run_session(version, inputs))
    if number == 0:
        np.savez(f"{answers}.python.npz", **run_python(version, inputs))
