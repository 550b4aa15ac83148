"""The CMML model, its construction from a configuration, and the paper's presets."""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
