"""The scheduler of micro-batching, without TensorFlow: any function of arrays will do."""

import threading
import time

import grpc
import numpy as np
import pytest

from cmml_tf.serving.server.batches.batching import Batcher
from cmml_tf.serving.server.loading.config_files import BatchingParameters
from cmml_tf.serving.server.status import ServingError

Code = grpc.StatusCode


class Doubling:
    """Doubles `x`; its first call waits until it is let go."""

    def __init__(self):
        self.entered = threading.Event()
        self.released = threading.Event()
        self.sizes = []

    def __call__(self, inputs):
        first = not self.entered.is_set()
        self.entered.set()
        if first:
            self.released.wait(10)
        self.sizes.append(len(inputs["x"]))
        if np.any(inputs["x"] < 0):
            raise ServingError(Code.INVALID_ARGUMENT, "negative")
        return {"y": 2 * inputs["x"]}


class Caller(threading.Thread):
    def __init__(self, batcher, run, x, key="k", deadline=None):
        super().__init__()
        self.arguments = (key, run, {"x": np.asarray(x)}, deadline)
        self.batcher = batcher
        self.y = self.error = None
        self.start()

    def run(self):
        try:
            self.y = self.batcher.run(*self.arguments)["y"]
        except ServingError as error:
            self.error = error


def blocked(**parameters):
    """A batcher with its one slot taken."""
    batcher = Batcher(BatchingParameters(num_batch_threads=1, **parameters))
    run = Doubling()
    first = Caller(batcher, run, [[0]])
    assert run.entered.wait(10)
    return batcher, run, first


def wait_until_queued(batcher, count):
    end = time.monotonic() + 10
    while len(batcher._waiting) < count and time.monotonic() < end:
        time.sleep(0.001)


def test_requests_that_wait_become_one_call_and_get_their_own_rows():
    batcher, run, first = blocked()
    callers = [Caller(batcher, run, np.full((rows, 1), rows)) for rows in (1, 2, 3)]
    wait_until_queued(batcher, 3)
    run.released.set()
    for caller in [first, *callers]:
        caller.join()
    assert run.sizes == [1, 6]
    for rows, caller in zip((1, 2, 3), callers, strict=True):
        np.testing.assert_array_equal(caller.y, np.full((rows, 1), 2 * rows))


def test_other_signatures_and_versions_are_not_merged():
    batcher, run, first = blocked()
    callers = [Caller(batcher, run, [[1]], key=key) for key in ("a", "b", "a")]
    wait_until_queued(batcher, 3)
    run.released.set()
    for caller in [first, *callers]:
        caller.join()
    assert sorted(run.sizes) == [1, 1, 2]


def test_a_batch_never_exceeds_the_largest_size():
    batcher, run, first = blocked(max_batch_size=4)
    callers = [Caller(batcher, run, np.full((3, 1), 1)) for _ in range(3)]
    wait_until_queued(batcher, 3)
    run.released.set()
    for caller in [first, *callers]:
        caller.join()
    assert run.sizes == [1, 3, 3, 3]


def test_a_request_larger_than_a_batch_is_refused():
    batcher = Batcher(BatchingParameters(max_batch_size=4))
    with pytest.raises(ServingError, match="larger than maximum input batch size 4") as caught:
        batcher.run("k", Doubling(), {"x": np.zeros((5, 1))})
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_a_full_queue_refuses_instead_of_growing():
    batcher, run, first = blocked(max_batch_size=2, max_enqueued_batches=1)
    waiting = Caller(batcher, run, [[1], [1]])
    wait_until_queued(batcher, 1)
    with pytest.raises(ServingError) as caught:
        batcher.run("k", run, {"x": np.array([[1]])})
    assert caught.value.code == Code.UNAVAILABLE
    run.released.set()
    first.join()
    waiting.join()
    np.testing.assert_array_equal(waiting.y, [[2], [2]])


def test_a_deadline_ends_the_wait_and_the_others_go_on():
    batcher, run, first = blocked()
    hasty = Caller(batcher, run, [[1]], deadline=time.monotonic() + 0.05)
    hasty.join()
    assert hasty.error.code == Code.DEADLINE_EXCEEDED
    patient = Caller(batcher, run, [[3]])
    run.released.set()
    patient.join()
    first.join()
    np.testing.assert_array_equal(patient.y, [[6]])
    assert sum(run.sizes) == 2


def test_a_request_that_fails_fails_its_batch_as_in_tensorflow_serving():
    batcher, run, first = blocked()
    callers = [Caller(batcher, run, [[value]]) for value in (1, -1)]
    wait_until_queued(batcher, 2)
    run.released.set()
    for caller in (first, *callers):
        caller.join()
    assert [caller.error.code for caller in callers] == [Code.INVALID_ARGUMENT] * 2
    assert first.error is None


def test_a_large_request_is_run_in_parts():
    parameters = BatchingParameters(
        max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=3
    )
    run = Doubling()
    run.released.set()
    batcher = Batcher(parameters)
    y = batcher.run("k", run, {"x": np.arange(8)})["y"]
    assert y.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]
    assert run.sizes == [3, 3, 2]
    with pytest.raises(ServingError, match="Task size 9 is larger than maximum input batch size 8"):
        batcher.run("k", run, {"x": np.arange(9)})


def test_a_merged_batch_is_no_larger_than_an_execution():
    batcher, run, first = blocked(
        max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=2
    )
    callers = [Caller(batcher, run, [[1]]) for _ in range(4)]
    wait_until_queued(batcher, 4)
    run.released.set()
    for caller in [first, *callers]:
        caller.join()
    assert run.sizes == [1, 2, 2]


def test_an_idle_batcher_runs_at_once_in_the_caller_s_thread():
    batcher = Batcher(BatchingParameters())
    threads = []

    def run(inputs):
        threads.append(threading.current_thread())
        return {"y": inputs["x"]}

    batcher.run("k", run, {"x": np.zeros((1, 1))})
    assert threads == [threading.current_thread()]


def test_a_timeout_collects_requests_that_come_later():
    batcher = Batcher(
        BatchingParameters(num_batch_threads=1, max_batch_size=2, batch_timeout_micros=10_000_000)
    )
    run = Doubling()
    run.released.set()
    callers = [Caller(batcher, run, [[value]]) for value in (1, 2)]
    for caller in callers:
        caller.join(5)
    assert run.sizes == [2]
    assert [caller.y.tolist() for caller in callers] == [[[2]], [[4]]]


def test_slots_share_what_waits():
    batcher = Batcher(BatchingParameters(num_batch_threads=2))
    runs = [Doubling(), Doubling(), Doubling()]
    busy = [Caller(batcher, run, [[0]]) for run in runs[:2]]
    assert all(run.entered.wait(10) for run in runs[:2])
    callers = [Caller(batcher, runs[2], [[1]]) for _ in range(6)]
    wait_until_queued(batcher, 6)
    runs[0].released.set()
    assert runs[2].entered.wait(10)
    left_for_the_other = len(batcher._waiting)
    runs[2].released.set()
    for caller in callers:
        caller.join()
    runs[1].released.set()
    for caller in busy:
        caller.join()
    assert left_for_the_other == 2
    assert runs[2].sizes == [4, 2]


def test_a_slot_waits_for_those_who_ask_again_at_once():
    batcher = Batcher(BatchingParameters(num_batch_threads=1))
    run = Doubling()
    ended = threading.Timer(2, run.released.set)

    def ask_twice():
        for _ in range(2):
            batcher.run("k", run, {"x": np.array([[1]])})

    twice = threading.Thread(target=ask_twice)
    twice.start()
    assert run.entered.wait(10)
    callers = [Caller(batcher, run, [[1]]) for _ in range(2)]
    wait_until_queued(batcher, 2)
    ended.start()
    for thread in (twice, *callers):
        thread.join()
    assert run.sizes == [1, 3]


def test_a_slot_does_not_wait_long_for_those_who_do_not_come_back():
    batcher, run, first = blocked()
    callers = [Caller(batcher, run, [[1]]) for _ in range(2)]
    wait_until_queued(batcher, 2)
    run.released.set()
    for caller in (first, *callers):
        caller.join(10)
    assert run.sizes == [1, 2]


def test_a_slot_remembers_those_who_were_under_way_a_batch_before():
    batcher = Batcher(BatchingParameters(num_batch_threads=1))
    sizes = []

    def run(inputs):
        sizes.append(len(inputs["x"]))
        time.sleep(0.5)
        return {"y": inputs["x"]}

    first = Caller(batcher, run, [[1]])
    time.sleep(0.1)
    others = [Caller(batcher, run, [[1]]) for _ in range(2)]
    for caller in (first, *others):
        caller.join()
    again = [Caller(batcher, run, [[1]]) for _ in range(2)]
    time.sleep(0.1)
    again.append(Caller(batcher, run, [[1]]))
    for caller in again:
        caller.join()
    assert sizes == [1, 2, 3]


def test_many_callers_all_get_their_own_answer():
    batcher = Batcher(BatchingParameters(num_batch_threads=2, max_batch_size=8))
    answers = {}

    def double(inputs):
        time.sleep(0.001)
        return {"y": 2 * inputs["x"]}

    def ask(caller):
        for turn in range(100):
            value = caller * 1000 + turn
            (answers[value],) = batcher.run(turn // 9 % 2, double, {"x": np.array([value])})["y"]

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 16 * 100
    assert answers == {value: 2 * value for value in answers}
