"""Reports for people: one HTML file of a run or a comparison, from the files of its folder."""

from cmml_tf.installation import require

require(__name__, "matplotlib", "pandas", "yaml")
