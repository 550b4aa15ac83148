"""A model asked without its support, and with its labels flipped."""

import numpy as np

from cmml_tf.evaluation.altered_support import FlippedLabels, WithoutSupport
from cmml_tf.types import Support

SUPPORT = Support(
    np.array([[1, 2, 3]]), np.array([[4, 5, 6]]), np.float32([[1, 0, 1]]), np.array([2])
)


class Seen:
    """A system that says what it was shown."""

    reads_support = True

    def adapt(self, support):
        return support

    def score(self, adapted, user, item):
        length = adapted.length[0]
        return adapted.label[0, :length].sum() + 10.0 * length + user + item


def test_without_support_nothing_is_read_and_no_axis_is_empty():
    empty = WithoutSupport(Seen())
    adapted = empty.adapt(SUPPORT)
    assert adapted.length.tolist() == [0]
    assert all(part.shape == (1, 1) for part in adapted[:3])
    assert empty.score(adapted, np.array([[7]]), np.array([[8]])).tolist() == [[15.0]]
    assert not empty.reads_support


def test_flipped_labels_are_mirrored_on_the_scale():
    binary = FlippedLabels(Seen(), (0.0, 1.0)).adapt(SUPPORT)
    assert binary.label.tolist() == [[0, 1, 0]]
    assert binary.label.dtype == np.float32
    assert (binary.item.tolist(), binary.length.tolist()) == ([[4, 5, 6]], [2])
    stars = SUPPORT._replace(label=np.float32([[0.5, 4, 5]]))
    assert FlippedLabels(Seen(), (0.5, 5.0)).adapt(stars).label.tolist() == [[5, 1.5, 0.5]]
    assert FlippedLabels(Seen(), (0.0, 1.0)).reads_support
    assert not FlippedLabels(WithoutSupport(Seen()), (0.0, 1.0)).reads_support
