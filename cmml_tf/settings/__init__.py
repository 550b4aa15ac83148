"""The settings of cold-start recommendation: what a task is, and how a system is asked.

Whatever trains, times, saves, compares and reports is written once, for any `Setting`.
"""

from cmml_tf.installation import require_tensorflow

require_tensorflow(__name__)
