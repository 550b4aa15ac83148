"""Exports a model in a process that has built others before: two_exports.py BASE."""

import sys

from serving_cases import ITEM_IDS, SMALL_POOLING, USER_IDS, filled_model

from cmml_tf.serving.export import export_model

filled_model(SMALL_POOLING, seed=7)
export_model(filled_model(SMALL_POOLING), sys.argv[1], USER_IDS, ITEM_IDS)
