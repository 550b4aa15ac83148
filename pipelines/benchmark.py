"""Measures speed and prints JSON: medians of interleaved rounds, CPU seconds except for `serve`.

python pipelines/benchmark.py encoder          # the GRU for serving against tf_keras.layers.GRU
python pipelines/benchmark.py adaptation       # a request's context and scores, by preset
python pipelines/benchmark.py training         # training steps against the same with Keras' GRU
python pipelines/benchmark.py episodes         # the episode pipeline, and building it
python pipelines/benchmark.py user             # a new user's request in the user setting
python pipelines/benchmark.py recommend        # the best of a catalogue, beside a two-tower's
python pipelines/benchmark.py ranking          # the best for a new user, beside implicit's fold-in
python pipelines/benchmark.py alternatives     # implicit, a two-tower and ours: recall and cost
python pipelines/benchmark.py baselines        # adaptation by gradients beside CMML
python pipelines/benchmark.py xla              # what XLA gains: passes and training
python pipelines/benchmark.py requests         # what a request costs a server, by model
python pipelines/benchmark.py evaluation --data movielens-small
python pipelines/benchmark.py daily --data log.parquet   # continued each day, or from nothing
python pipelines/benchmark.py serve            # requests a second, overhead, start, failures
python pipelines/benchmark.py client           # its import, its environment, its own work a call
python pipelines/benchmark.py help             # `cmml --help`, of a few commands, wrong paths
python pipelines/benchmark.py tables           # 700,000 x 128 and 1,400,000 x 128 frozen embeddings
python pipelines/benchmark.py reading          # a table of 5,000,000 rows of text ids
"""

import importlib
import json
import platform
from collections.abc import Sequence

from cmml_tf.program import Arguments, run
from cmml_tf.training.run_folder import environment


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    subcommands = parser.add_subparsers(dest="what", required=True)
    networks = ("encoder", "adaptation", "training", "user", "baselines", "xla")
    others = (
        *("episodes", "client", "help", "tables", "reading", "recommend", "ranking"),
        "requests",
    )
    for name in (*networks, *others):
        subparser = subcommands.add_parser(name)
        subparser.add_argument("--rounds", type=int, default=9)
    meta_test = subcommands.add_parser("evaluation")
    meta_test.add_argument("--data", default="movielens-small")
    alternatives = subcommands.add_parser("alternatives")
    alternatives.add_argument("--rounds", type=int, default=9)
    alternatives.add_argument("--data", default="movielens-small")
    alternatives.add_argument("--plot", help="an SVG file: cost against recall")
    daily = subcommands.add_parser("daily")
    daily.add_argument("--data", required=True, help="a log: user, item, scenario, timestamp")
    daily.add_argument("--items", help="a table of features of items")
    daily.add_argument("--users", help="a table of features of users")
    daily.add_argument("--preset", help="none: the default")
    daily.add_argument("--days", type=int, default=14)
    daily.add_argument("--every", type=int, default=1, help="days between trainings from nothing")
    daily.add_argument("--hold-back", type=float, default=0.1, help="share of scenarios asked")
    daily.add_argument("--leave-out", type=int, default=0, help="of the last scenarios, so many")
    daily.add_argument("--seeds", nargs="+", type=int, default=[0])
    serving = subcommands.add_parser("serve")
    serving.add_argument("--rounds", type=int, default=5)
    serving.add_argument("--seconds", type=float, default=2.0, help="of each measurement a round")
    serving.add_argument("--odd-requests", type=int, default=10_000, help="damaged ones to send")
    arguments = parser.parse_args(argv)

    # Imported when asked for: TensorFlow starts here.
    if arguments.what == "evaluation":
        from benchmarks import evaluation

        figures = evaluation.measure(arguments.data)
    elif arguments.what == "alternatives":
        from benchmarks.alternatives import measurement

        figures = measurement.measure(arguments.rounds, arguments.data, arguments.plot)
    elif arguments.what == "daily":
        from benchmarks import daily as days

        given = {name: value for name, value in vars(arguments).items() if name != "what"}
        figures = days.measure(given.pop("data"), **given)
    elif arguments.what == "serve":
        from benchmarks import serve

        figures = serve.measure(arguments.rounds, arguments.seconds, arguments.odd_requests)
    else:
        folder = "benchmarks.networks" if arguments.what in networks else "benchmarks"
        module = importlib.import_module(f"{folder}.{arguments.what}")
        figures = module.measure(arguments.rounds)
    conditions = {"processor": platform.processor() or platform.machine(), **environment()}
    print(json.dumps({arguments.what: figures, "conditions": conditions}, indent=2))
    return 0


if __name__ == "__main__":
    run(main)
