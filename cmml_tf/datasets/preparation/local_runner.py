"""Runs the stages one task after the other in this process, and keeps what is done."""

from collections.abc import Callable

from cmml_tf.datasets.preparation.plan import Shuffle, Stage
from cmml_tf.datasets.preparation.work_folder import Arrays, Counts, WorkFolder


class LocalRunner:
    """One task at a time: memory is that of one task.

    Args:
      progress: Told of every task.
    """

    def __init__(self, progress: Callable[[str], None]) -> None:
        self._progress = progress

    def run(self, stage: Stage | Shuffle, work: WorkFolder) -> None:
        """Runs the tasks that are not done."""
        if isinstance(stage, Stage):
            self._run_tasks(stage, work)
            return
        if not all(work.is_done(stage.name, part) for part in range(stage.parts)):
            self._run_tasks(Stage(stage.divided, stage.tasks, _flattened(stage)), work)
        self._run_tasks(Stage(stage.name, stage.parts, _merging(stage, work)), work)
        work.drop(stage.divided)

    def _run_tasks(self, stage: Stage, work: WorkFolder) -> None:
        for task in range(stage.tasks):
            kept = work.is_done(stage.name, task)
            if not kept:
                work.save(stage.name, task, *stage.run(task))
            state = ", kept from before" if kept else ""
            self._progress(f"{stage.name}: {task + 1} of {stage.tasks}{state}")


def _flattened(stage: Shuffle) -> Callable[[int], tuple[Arrays, Counts]]:
    """The pieces of all parts as one set of arrays, `PART/NAME`."""

    def run(task: int) -> tuple[Arrays, Counts]:
        pieces, counts = stage.divide(task)
        arrays = {
            f"{part}/{name}": column
            for part, piece in pieces.items()
            for name, column in piece.items()
        }
        return arrays, counts

    return run


def _merging(stage: Shuffle, work: WorkFolder) -> Callable[[int], tuple[Arrays, Counts]]:
    def run(part: int) -> tuple[Arrays, Counts]:
        pieces = [work.load(stage.divided, task, f"{part}/") for task in range(stage.tasks)]
        return stage.merge(part, pieces)

    return run
