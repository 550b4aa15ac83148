"""Micro-batching: concurrent requests of one signature and version become one call.

No thread of its own. A request that finds a free batch slot runs at once, in its own thread, so a
single client waits for nothing. Requests that find all slots taken queue up; whoever finishes hands
the slot to the oldest of them, which takes along its share of what has queued of its kind.

Clients that ask again as soon as they are answered would fill batches unevenly, one slot running
single requests while the other runs all the rest, because a slot becomes free just before those it
answered are back. So a slot waits for its share of the requests that have lately been under way,
at most as long as its last batch took, counted from its end: a request that comes later waits for
nothing.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import NamedTuple

from cmml_tf.serving.server.batches.batch_tensors import (
    Arrays,
    cut_rows,
    join_rows,
    merge,
    row_count,
    split,
)
from cmml_tf.serving.server.loading.config_files import BatchingParameters
from cmml_tf.serving.server.status import Code, ServingError, invalid_argument

Run = Callable[[Arrays], Arrays]
_FOREVER = -1
_MEMORY = 0.9
"""Part that is left, a batch later, of the largest number of rows lately under way: callers who
have just been answered are not, until they ask again."""


class _Slot(NamedTuple):
    """The right to run one batch.

    Attributes:
      share: Rows that are worth waiting for.
      until: On the monotonic clock; the batch is run then, whatever its size.
    """

    share: int = 1
    until: float = 0.0


class _Task:
    """One request, waiting or being run."""

    __slots__ = ("error", "inputs", "key", "outputs", "rows", "run", "slot", "taken", "woken")

    def __init__(self, key: Hashable, run: Run, inputs: Arrays, rows: int):
        self.key = key
        self.run = run
        self.inputs = inputs
        self.rows = rows
        self.outputs: Arrays | None = None
        self.error: ServingError | None = None
        self.taken = False
        """Part of a batch that is being run by another."""
        self.slot: _Slot | None = None
        """Given to it with the task of running a batch."""
        self.woken = threading.Lock()
        """Held until the task is woken, which happens once: less than an Event costs."""
        self.woken.acquire()


class Batcher:
    """Merges calls with equal keys."""

    def __init__(self, parameters: BatchingParameters):
        self._parameters = parameters
        self._changed = threading.Condition()
        self._free = [_Slot()] * parameters.num_batch_threads
        self._waiting: deque[_Task] = deque()
        self._running = 0
        """Rows of batches that are being run."""
        self._crowd = 0.0
        """Rows lately under way."""
        self._missing: dict[Hashable, int] = {}
        """Rows that a batch being collected waits for, by key: one of a key is at a time."""

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
            UNAVAILABLE when the queue is full; DEADLINE_EXCEEDED; or as `run` raises, for whichever
            request of the batch: as in TensorFlow Serving one that is refused fails all.
        """
        rows = row_count(inputs)
        if rows > self._parameters.max_batch_size:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size "
                f"{self._parameters.max_batch_size}"
            )
        size = self._parameters.execution_size
        if rows <= size:
            return self._run(_Task(key, run, inputs, rows), deadline)
        tasks = [_Task(key, run, part, row_count(part)) for part in cut_rows(inputs, size)]
        return join_rows([self._run(task, deadline) for task in tasks])

    def _run(self, task: _Task, deadline: float | None) -> Arrays:
        if deadline is not None and time.monotonic() >= deadline:
            raise _too_late()
        if not self._begin(task):
            self._wait(task, deadline)
        if task.slot is not None:
            self._lead(task, task.slot)
        if task.outputs is None:
            raise task.error or ServingError(Code.INTERNAL, "The batch was not completed.")
        return task.outputs

    def _begin(self, task: _Task) -> bool:
        """Takes a free slot, or queues the task."""
        with self._changed:
            if self._free and task.key not in self._missing:
                self._grant(task, self._free.pop())
                return True
            queued = self._queued()
            limit = self._parameters.max_enqueued_batches * self._parameters.execution_size
            if queued + task.rows > limit:
                raise ServingError(
                    Code.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full; "
                    f"currently {queued} rows wait.",
                )
            self._waiting.append(task)
            if task.key in self._missing:
                self._missing[task.key] -= task.rows
                if self._missing[task.key] <= 0:
                    self._changed.notify_all()
            return False

    def _wait(self, task: _Task, deadline: float | None) -> None:
        timeout = _FOREVER if deadline is None else max(0.0, deadline - time.monotonic())
        if task.woken.acquire(timeout=min(timeout, threading.TIMEOUT_MAX)):
            return
        with self._changed:
            if task.slot is not None:
                del self._missing[task.key]
                self._hand_over(task.slot)
            elif not task.taken:
                self._waiting.remove(task)
        raise _too_late()

    def _lead(self, task: _Task, slot: _Slot) -> None:
        batch, began = [task], time.monotonic()
        try:
            batch += self._collect(task, slot)
            began = time.monotonic()
            self._execute(batch)
        finally:
            for follower in batch[1:]:
                follower.woken.release()
            now = time.monotonic()
            with self._changed:
                self._crowd = max(self._running + self._queued(), _MEMORY * self._crowd)
                self._running -= sum(task.rows for task in batch)
                self._hand_over(_Slot(self._share(), until=now + (now - began)))

    def _queued(self) -> int:
        return sum(waiting.rows for waiting in self._waiting)

    def _share(self) -> int:
        """Rows of a batch if the slots ran what is or was under way. The lock is held."""
        rows = max(self._running + self._queued(), round(self._crowd))
        share = -(-rows // self._parameters.num_batch_threads)
        return min(share, self._parameters.execution_size)

    def _collect(self, task: _Task, slot: _Slot) -> list[_Task]:
        """Takes what belongs beside `task`, its share, or all that fits when told to wait."""
        timeout, largest = self._parameters.batch_timeout_micros / 1e6, slot.share
        until = slot.until
        if timeout:
            largest, until = self._parameters.execution_size, time.monotonic() + timeout
        with self._changed:
            same = sum(waiting.rows for waiting in self._waiting if waiting.key == task.key)
            self._missing[task.key] = largest - task.rows - same
            self._changed.wait_for(
                lambda: self._missing[task.key] <= 0, max(0.0, until - time.monotonic())
            )
            del self._missing[task.key]
            self._running += task.rows
            taken = self._take(task.key, max(largest, self._share()) - task.rows)
            self._running += sum(other.rows for other in taken)
            if self._free:
                # Requests of this key left slots alone while this batch was collected.
                self._hand_over(self._free.pop())
            return taken

    def _grant(self, task: _Task, slot: _Slot) -> None:
        """Gives a slot to a task, which collects from here on. The lock is held."""
        task.slot = slot
        self._missing[task.key] = 0

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

    def _hand_over(self, slot: _Slot) -> None:
        """Gives a slot to the oldest task whose kind is not being collected. The lock is held."""
        heir = next((task for task in self._waiting if task.key not in self._missing), None)
        if heir is None:
            self._free.append(slot)
            return
        self._waiting.remove(heir)
        self._grant(heir, slot)
        heir.woken.release()

    def _execute(self, batch: list[_Task]) -> None:
        """Runs a batch; each task gets its outputs, or all get the error."""
        try:
            outputs = split(batch[0].run(self._merge(batch)), [task.rows for task in batch])
        except ServingError as error:
            for task in batch:
                task.error = error
            return
        for task, own in zip(batch, outputs, strict=True):
            task.outputs = own

    def _merge(self, batch: list[_Task]) -> Arrays:
        if len(batch) == 1 and not self._parameters.allowed_batch_sizes:
            return batch[0].inputs
        return merge([task.inputs for task in batch], self._parameters)


def _too_late() -> ServingError:
    return ServingError(Code.DEADLINE_EXCEEDED, "Deadline exceeded while waiting for a batch.")
