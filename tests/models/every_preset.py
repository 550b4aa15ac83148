"""Every model by name, rows of tables too."""

from cmml_tf.experiments.forms import FORMS

MODEL_PRESETS = {name: one.model for name, one in FORMS["scenario"].options.presets.items()}
RATING_PRESETS = FORMS["user"].options.presets
