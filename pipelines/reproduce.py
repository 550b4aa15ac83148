"""The paper's tables and figures: `cmml reproduce` of a checkout."""

from cmml_tf.commands.experiments.reproduce import main
from cmml_tf.program import run

if __name__ == "__main__":
    run(main)
