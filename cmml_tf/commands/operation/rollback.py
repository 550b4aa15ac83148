"""Goes back to the version before the served one.

cmml rollback export

The largest version is renamed into the folder `withdrawn` of the model base path, which no server
reads; servers load the one before. No later version gets its number: callers may hold contexts of
it. To serve it again, promote it.
"""

from collections.abc import Sequence
from pathlib import Path

from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("base", type=Path, help="model base path")
    base = parser.parse_args(argv).base

    from cmml_tf.serving.version.version_folder import WITHDRAWN, withdraw

    withdrawn, served = withdraw(base)
    print(f"Served: {base / str(served)}. Withdrawn: {base / WITHDRAWN / str(withdrawn)}.")
    return 0
