"""Answers requests with exported models where cmml_tf cannot be imported (see test_export).

Called as `fresh_process.py CASES.json`: a list of [version folder, requests.npz, answers.npz].
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

# From here on `import cmml_tf` raises ImportError, and so does every module of it.
sys.modules["cmml_tf"] = None
for version, requests, answers in json.loads(Path(sys.argv[1]).read_text()):
    started = time.perf_counter()
    signature = tf.saved_model.load(version).signatures["serving_default"]
    seconds = time.perf_counter() - started
    with np.load(requests) as inputs:
        answer = signature(**{name: tf.constant(inputs[name]) for name in inputs.files})
    np.savez(answers, load_seconds=seconds, **{k: v.numpy() for k, v in answer.items()})
