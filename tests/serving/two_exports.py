"""Exports a model in a process that has built others before: two_exports.py BASE FACTS."""

import json
import sys

from serving_cases import ITEM_IDS, SMALL_POOLING, USER_IDS, filled_model

from cmml_tf.serving.export import export_model

filled_model(SMALL_POOLING, seed=7)
base, facts = sys.argv[1], json.loads(sys.argv[2])
export_model(filled_model(SMALL_POOLING), base, USER_IDS, ITEM_IDS, manifest=facts)
