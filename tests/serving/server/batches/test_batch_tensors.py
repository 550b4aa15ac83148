import grpc
import numpy as np
import pytest

from cmml_tf.serving.server.batches.batch_tensors import (
    cut_rows,
    join_rows,
    merge,
    row_count,
    split,
)
from cmml_tf.serving.server.loading.config_files import BatchingParameters
from cmml_tf.serving.server.status import ServingError

PADDING = BatchingParameters(pad_variable_length_inputs=True)


def test_padding_repeats_the_first_element_of_each_tensor():
    requests = [
        {"id": np.array([[b"a", b"b"]], object), "label": np.array([[7.0, 8.0]])},
        {"id": np.array([[b"c"], [b"d"]], object), "label": np.array([[1.0], [2.0]])},
    ]
    merged = merge(requests, PADDING)
    assert merged["id"].tolist() == [[b"a", b"b"], [b"c", b"c"], [b"d", b"c"]]
    assert merged["label"].tolist() == [[7.0, 8.0], [1.0, 1.0], [2.0, 1.0]]


def test_several_axes_are_padded():
    requests = [{"x": np.array([[[5]]])}, {"x": np.array([[[1, 2], [3, 4]]])}]
    merged = merge(requests, PADDING)
    assert merged["x"].tolist() == [[[5, 5], [5, 5]], [[1, 2], [3, 4]]]


def test_an_empty_tensor_beside_a_longer_one_has_nothing_to_pad_with():
    requests = [{"x": np.zeros((1, 0))}, {"x": np.ones((1, 2))}]
    with pytest.raises(ServingError, match="empty tensor") as caught:
        merge(requests, PADDING)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT


def test_empty_tensors_among_themselves_are_merged():
    merged = merge([{"x": np.zeros((1, 0))}, {"x": np.zeros((2, 0))}], PADDING)
    assert merged["x"].shape == (3, 0)


def test_a_request_in_parts_is_whole_again_whatever_a_part_was_padded_to():
    inputs = {"x": np.arange(10).reshape(5, 2)}
    parts = cut_rows(inputs, 2)
    assert [len(part["x"]) for part in parts] == [2, 2, 1]
    parts[1] = {"x": np.pad(parts[1]["x"], ((0, 0), (0, 3)))}
    np.testing.assert_array_equal(join_rows(parts)["x"], inputs["x"])


def test_without_padding_different_lengths_are_refused():
    requests = [{"x": np.zeros((1, 1))}, {"x": np.zeros((1, 2))}]
    with pytest.raises(ServingError, match="padding is turned off") as caught:
        merge(requests, BatchingParameters())
    assert caught.value.code == grpc.StatusCode.FAILED_PRECONDITION


def test_batches_are_filled_up_to_an_allowed_size_and_cut_again():
    parameters = BatchingParameters(max_batch_size=4, allowed_batch_sizes=(2, 4))
    merged = merge([{"x": np.array([[1]])}, {"x": np.array([[2], [3]])}], parameters)
    assert merged["x"].tolist() == [[1], [2], [3], [1]]
    first, second = split({"y": merged["x"] * 10}, [1, 2])
    assert first["y"].tolist() == [[10]]
    assert second["y"].tolist() == [[20], [30]]


@pytest.mark.parametrize("outputs", [{"y": np.float32(1)}, {"y": np.zeros((1, 1))}])
def test_outputs_that_cannot_be_cut_are_refused(outputs):
    with pytest.raises(ServingError, match="Batched output tensor y"):
        split({name: np.asarray(array) for name, array in outputs.items()}, [1, 1])


@pytest.mark.parametrize(
    "inputs",
    [
        {"a": np.zeros((1, 1)), "b": np.zeros((2, 1))},
        {"a": np.array(1.0)},
        {"a": np.zeros((0, 3))},
    ],
)
def test_inputs_must_agree_on_at_least_one_row(inputs):
    with pytest.raises(ServingError, match="Batching") as caught:
        row_count(inputs)
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
