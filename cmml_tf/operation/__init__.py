"""What comes after training: exports are evaluated on new logs, promoted and withdrawn.

An export is asked through its own signatures, as a server asks it; nothing of the model's code is
needed, and nothing of the run that made it.
"""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
