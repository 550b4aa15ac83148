"""Runs the stages on Apache Beam: tasks are elements, what is divided meets in a GroupByKey."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from cmml_tf.datasets.preparation.plan import Shuffle, Stage
from cmml_tf.datasets.preparation.work_folder import Arrays, WorkFolder

# Without options: inside this process. (Beam's own default looks for a binary to download.)
_IN_PROCESS = ("--runner=FnApiRunner",)


class BeamRunner:
    """A pipeline a stage; a stage that is done is kept whole, another begins anew.

    The work folder, and the files that are read, must be reachable by all workers.

    Args:
      options: Of the pipeline, e.g. `--runner=FlinkRunner`; none: Beam's runner in this process.
      progress: Told of every stage.

    Raises:
      ModuleNotFoundError: Apache Beam is not installed.
    """

    def __init__(self, options: Sequence[str], progress: Callable[[str], None]) -> None:
        try:
            import apache_beam
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "The runner beam needs the package apache-beam, which is not installed. Run "
                "pip install 'cmml_tf[beam]', or use --runner local."
            ) from None
        self._beam = apache_beam
        self._options = list(options or _IN_PROCESS)
        self._progress = progress

    def run(self, stage: Stage | Shuffle, work: WorkFolder) -> None:
        """Runs a stage, unless all of it is done."""
        beam = self._beam
        made = stage.parts if isinstance(stage, Shuffle) else stage.tasks
        if all(work.is_done(stage.name, task) for task in range(made)):
            self._progress(f"{stage.name}: {made} of {made}, kept from before")
            return
        self._progress(f"{stage.name}: {stage.tasks} tasks begin")
        options = beam.options.pipeline_options.PipelineOptions(self._options)
        with beam.Pipeline(options=options) as pipeline:
            tasks = pipeline | beam.Create(range(stage.tasks)) | beam.Reshuffle()
            if isinstance(stage, Stage):
                tasks | stage.name >> beam.Map(partial(_run, stage, work))
            else:
                pieces = tasks | stage.divided >> beam.FlatMap(partial(_divide, stage, work))
                parts = pieces | beam.GroupByKey()
                parts | stage.name >> beam.Map(partial(_merge, stage, work))
        self._progress(f"{stage.name}: {made} of {made}")


def _run(stage: Stage, work: WorkFolder, task: int) -> None:
    work.save(stage.name, task, *stage.run(task))


def _divide(stage: Shuffle, work: WorkFolder, task: int) -> Iterator[tuple[int, Arrays]]:
    pieces, counts = stage.divide(task)
    work.save_counts(stage.divided, task, counts)
    yield from pieces.items()


def _merge(stage: Shuffle, work: WorkFolder, part_and_pieces: tuple[int, Iterable[Arrays]]) -> None:
    part, pieces = part_and_pieces
    work.save(stage.name, part, *stage.merge(part, list(pieces)))
