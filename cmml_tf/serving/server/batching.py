"""Micro-batching: concurrent requests of one signature and version become one call.

No thread of its own. A request that finds a free batch slot runs at once, in its own thread, so a
single client waits for nothing. Requests that find all slots taken queue up; whoever finishes hands
the slot to the oldest of them, which takes along everything of its kind that has queued meanwhile.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable

from cmml_tf.serving.server.batch_tensors import Arrays, merge, row_count, split
from cmml_tf.serving.server.config_files import BatchingParameters
from cmml_tf.serving.server.status import Code, ServingError, invalid_argument

Run = Callable[[Arrays], Arrays]
_FOREVER = -1


class _Task:
    """One request, waiting or being run."""

    __slots__ = ("error", "inputs", "key", "leads", "outputs", "rows", "run", "taken", "woken")

    def __init__(self, key: Hashable, run: Run, inputs: Arrays, rows: int):
        self.key = key
        self.run = run
        self.inputs = inputs
        self.rows = rows
        self.outputs: Arrays | None = None
        self.error: ServingError | None = None
        self.taken = False
        """Part of a batch that is being run by another."""
        self.leads = False
        """Woken to run a batch itself."""
        self.woken = threading.Lock()
        """Held until the task is woken, which happens once: less than an Event costs."""
        self.woken.acquire()


class Batcher:
    """Merges calls with equal keys."""

    def __init__(self, parameters: BatchingParameters):
        self._parameters = parameters
        self._changed = threading.Condition()
        self._free = parameters.num_batch_threads
        self._waiting: deque[_Task] = deque()
        self._collecting: set[Hashable] = set()

    def run(self, key: Hashable, run: Run, inputs: Arrays, deadline: float | None = None) -> Arrays:
        """Outputs of `run(inputs)`, from a call that others with the same key may share.

        Args:
          key: What must be equal for requests to be merged: version and signature.
          run: Runs a merged batch; the one of the batch's first request is used.
          inputs: Arrays that agree on axis 0, the rows.
          deadline: On the monotonic clock; None waits as long as it takes.

        Raises:
          ServingError: INVALID_ARGUMENT for inputs without rows, unequal rows or more rows than
            `max_batch_size`; FAILED_PRECONDITION for shapes that differ without padding;
            UNAVAILABLE when the queue is full; DEADLINE_EXCEEDED; or as `run` raises.
        """
        rows = row_count(inputs)
        if rows > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        if deadline is not None and time.monotonic() >= deadline:
            raise _too_late()
        task = _Task(key, run, inputs, rows)
        if not self._begin(task):
            self._wait(task, deadline)
        if task.leads:
            self._lead(task)
        if task.error is not None:
            raise task.error
        return task.outputs

    def _begin(self, task: _Task) -> bool:
        """Takes a free slot, or queues the task."""
        with self._changed:
            if self._free and task.key not in self._collecting:
                self._free -= 1
                task.leads = True
                return True
            queued = sum(waiting.rows for waiting in self._waiting)
            limit = self._parameters.max_enqueued_batches * self._parameters.max_batch_size
            if queued + task.rows > limit:
                raise ServingError(
                    Code.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; "
                    f"currently {queued} rows wait.",
                )
            self._waiting.append(task)
            if self._collecting:
                self._changed.notify_all()
            return False

    def _wait(self, task: _Task, deadline: float | None) -> None:
        timeout = _FOREVER if deadline is None else max(0.0, deadline - time.monotonic())
        if task.woken.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            return
        with self._changed:
            if task.leads:
                self._hand_over()
            elif not task.taken:
                self._waiting.remove(task)
        raise _too_late()

    def _lead(self, task: _Task) -> None:
        batch = [task]
        try:
            batch += self._collect(task)
            self._execute(batch)
        finally:
            with self._changed:
                self._hand_over()
            for follower in batch[1:]:
                if follower.outputs is None and follower.error is None:
                    follower.error = ServingError(Code.INTERNAL, "The batch was not completed.")
                follower.woken.release()

    def _collect(self, task: _Task) -> list[_Task]:
        """Takes what fits beside `task`; waits for more only when told to."""
        until = time.monotonic() + self._parameters.batch_timeout_micros / 1e6
        taken: list[_Task] = []
        with self._changed:
            self._collecting.add(task.key)
            try:
                while True:
                    room = self._parameters.max_batch_size - task.rows
                    room -= sum(other.rows for other in taken)
                    taken += self._take(task.key, room)
                    full = task.rows + sum(other.rows for other in taken)
                    left = until - time.monotonic()
                    if full >= self._parameters.max_batch_size or left <= 0:
                        return taken
                    self._changed.wait(left)
            finally:
                self._collecting.discard(task.key)

    def _take(self, key: Hashable, room: int) -> list[_Task]:
        taken = []
        for waiting in self._waiting:
            if waiting.key == key and waiting.rows <= room:
                waiting.taken = True
                room -= waiting.rows
                taken.append(waiting)
        for waiting in taken:
            self._waiting.remove(waiting)
        return taken

    def _hand_over(self) -> None:
        """Gives this slot to the oldest waiting task, or back. The lock is held."""
        if not self._waiting:
            self._free += 1
            return
        heir = self._waiting.popleft()
        heir.leads = True
        heir.woken.release()

    def _execute(self, batch: list[_Task]) -> None:
        """Runs a batch; each task gets its outputs or its error."""
        try:
            merged, merged_tasks = self._merge(batch)
            if not merged_tasks:
                return
            rows = [task.rows for task in merged_tasks]
            outputs = split(merged_tasks[0].run(merged), rows)
        except ServingError as error:
            self._separate(batch, error)
            return
        for task, own in zip(merged_tasks, outputs, strict=True):
            task.outputs = own

    def _merge(self, batch: list[_Task]) -> tuple[Arrays, list[_Task]]:
        if len(batch) == 1 and not self._parameters.allowed_batch_sizes:
            return batch[0].inputs, batch
        kept, merged = merge([task.inputs for task in batch], self._parameters)
        for position, task in enumerate(batch):
            if position not in kept:
                task.error = invalid_argument(
                    "Got empty tensor. Can't infer padding value from empty tensor"
                )
        return merged, [batch[position] for position in kept]

    def _separate(self, batch: list[_Task], error: ServingError) -> None:
        """One bad request must not fail the others: each is run alone.

        TensorFlow Serving fails the whole batch here; the sender of the bad request sees the same.
        """
        if len(batch) == 1 or error.code is not Code.INVALID_ARGUMENT:
            for task in batch:
                task.error = error
            return
        for task in batch:
            if task.error is None:
                try:
                    task.outputs = split(task.run(task.inputs), [task.rows])[0]
                except ServingError as own:
                    task.error = own


def _too_late() -> ServingError:
    return ServingError(Code.DEADLINE_EXCEEDED, "Deadline exceeded while waiting for a batch.")
