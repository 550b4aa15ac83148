"""Makes a candidate the served version, if a new log does not speak against it.

cmml promote export/candidates/1 --on LOG
cmml promote runs/new/7 --against /models/cmml --on LOG

The candidate and the served version are asked the same tasks of the log, through their SavedModels.
The candidate is refused, with status 3 and a sentence, if it is worse beyond the interval over
tasks, below ItemPop (user setting: the item mean; ranking: popularity), at chance, of another
setting than what is served, or not what was exported: it cannot be loaded, or gives other scores
than its manifest has. Else one rename makes it the next version. Where nothing is served yet, it
must not be worse beyond the interval than the strongest simple system that the log gives.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.commands.operation.log_options import add_log_options, given_log
from cmml_tf.files import write_whole
from cmml_tf.program import Arguments


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("candidate", type=Path, help="version folder, as a training has made it")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CURRENT",
        help="the served version, or its model base path; none: the one that has the candidates",
    )
    parser.add_argument("--on", required=True, metavar="LOG", help="as --data of a training")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison there")
    add_log_options(parser)
    given = parser.parse_args(argv)
    log = given_log(given, given.on)

    from cmml_tf.operation.promotion import judged, place_of, promote

    place = place_of(given.candidate, given.against)
    comparison = judged(given.candidate, place, log)
    if given.json is not None:
        write_whole(given.json, json.dumps(comparison.as_json(), indent=2))
    promote(given.candidate, place, comparison, print)
    return 0
