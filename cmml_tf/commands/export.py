"""Exports the model of a finished run once more, without training or evaluating it.

cmml export runs/cmml-matching-movielens-small-0
cmml export runs/user-ridge-ml-1m-0 --export-dir /models/cmml
cmml export runs/cmml-matching-log-0 --refit     # trained on everything, what was asked included
cmml export runs/cmml-film-log-0 --compile 1x192x100     # with XLA, for requests up to this size

For runs whose export failed, or belongs elsewhere too. Without --export-dir it goes where the run's
own went: to the candidates, unless the run was told a model base path. One that has a version of
this very model keeps it, and gets no other.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from cmml_tf.compiled_size import CompiledSize
from cmml_tf.program import Arguments
from cmml_tf.training.run_folder import MODEL, load_config, setting_of


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    parser = Arguments(__doc__)
    parser.add_argument("run_dir", type=Path, help="folder that a training command has written")
    parser.add_argument("--export-dir", metavar="DIR", help="model base path; none: the run's own")
    parser.add_argument(
        "--refit",
        action="store_true",
        help="train the evaluated configuration on everything first, and export that model; one "
        "that was killed goes on",
    )
    parser.add_argument(
        "--compile",
        nargs="+",
        default=[],
        metavar="BxSxQ",
        help="tasks, support pairs and query pairs of requests that XLA compiles; servers need "
        "--xla_cpu_compilation_enabled=true",
    )
    arguments = parser.parse_args(argv)
    compiled = [CompiledSize.parse(size) for size in arguments.compile]
    folder = arguments.run_dir
    name = setting_of(folder)  # a folder of no run is refused before TensorFlow starts

    from cmml_tf.settings.named import SETTINGS
    from cmml_tf.settings.refit import refit
    from cmml_tf.settings.run import open_run
    from cmml_tf.settings.run_end import described, export_finished

    setting = SETTINGS[name]
    config = load_config(folder, setting.form.options.config)
    changes = {} if arguments.export_dir is None else {"export_dir": arguments.export_dir}
    config = dataclasses.replace(config, run_dir=str(folder), strategy="none", **changes)
    run = open_run(setting, config, print)
    refitted = refit(run, print, 2) if arguments.refit else None
    trained, more = (run, {}) if refitted is None else (refitted.run, refitted.facts)
    model = trained.trained(MODEL)
    exported = export_finished(
        folder, lambda facts: trained.export(model, facts | more, compiled=compiled)
    )
    print(described(exported))
    return 0
