"""The closed-form head: the recipe for each kind of inputs, the empty support, the reference."""

import numpy as np
import pytest
import tensorflow as tf
from layers.layer_recipe import LayerRecipe, normal
from reference import beyond_the_paper

from cmml_tf.layers.closed_form.ridge_head import RidgeHead

LABEL = np.array([[1, 0, 1, 0, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 1]], np.float32)
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]], bool)
NAMES = (
    "projection",
    "negative_target",
    "negative_log_weight",
    "base_share",
    "log_penalty",
    "gate",
)


def reference_weights(head):
    return {f"head/{name}": getattr(head, name).numpy() for name in NAMES}


def support():
    """Pairs, hidden layer and base of three tasks' support."""
    return normal(3, 5, 6, seed=5), normal(3, 5, 8, seed=6), normal(3, 5, seed=7)


def solution(head):
    return head.solve(*map(tf.constant, (*support(), LABEL, MASK)))


class HeadRecipe(LayerRecipe):
    weights = 6
    output_shapes = ([5],)
    kind, width = "item", 3
    refused = (
        ({"features": 0}, r"`features` must be a positive integer. Received: features=0"),
        ({"inputs": "user"}, r"`inputs` must be item, pair or hidden\. Received: inputs='user'"),
    )

    def make(self, features=4, inputs=None):
        return RidgeHead(self.width, features, inputs or self.kind)

    def built(self):
        head = super().built()
        # Numbers count tenfold, and two of them stand in an exponent.
        for name in NAMES[1:]:
            getattr(head, name).assign(0.1 * getattr(head, name))
        return head

    def inputs(self):
        return [
            normal(3, 5, 6),
            normal(3, 5, 8, seed=1),
            normal(3, 5, seed=2),
            normal(3, 5, seed=4),
        ]

    input_axes = ([0, 1], [0, 1], [0, 1], [0])

    def build(self, layer):
        layer.build([None, None, 6])

    def check_gradient_reaches_every_weight(self):
        """Most of them only through the solution."""
        head = self.built()
        with tf.GradientTape() as tape:
            pairs, hidden, base, _ = map(tf.constant, self.inputs())
            loss = tf.reduce_sum(head(pairs, hidden, base, solution(head)) ** 2)
        for gradient in tape.gradient(loss, head.trainable_variables):
            assert np.abs(tf.convert_to_tensor(gradient)).max() > 0

    def test_equals_the_reference(self):
        head = self.built()
        weights, solved = reference_weights(head), solution(head)
        scores = head(*map(tf.constant, self.inputs()[:3]), solved)
        for row in (0, 1):
            valid = MASK[row]
            pairs, hidden, base = (array[row][valid] for array in support())
            x = beyond_the_paper.ridge_features(pairs, hidden, weights, self.kind)
            w = beyond_the_paper.ridge_solution(x, base, LABEL[row][valid], weights)
            np.testing.assert_allclose(solved[row], w, rtol=1e-4, atol=1e-5)
            pairs, hidden, base = (array[row] for array in self.inputs()[:3])
            x = beyond_the_paper.ridge_features(pairs, hidden, weights, self.kind)
            expected = base + 10 * weights["head/gate"] * (x @ w)
            np.testing.assert_allclose(scores[row], expected, rtol=1e-4, atol=1e-4)

    def test_no_support_leaves_the_base(self):
        head = self.built()
        solved = solution(head)
        np.testing.assert_array_equal(solved[2], np.zeros(5))
        pairs, hidden, base, _ = self.inputs()
        np.testing.assert_array_equal(head(pairs, hidden, base, solved)[2], base[2])

    def test_masked_pairs_change_nothing(self):
        head = self.built()
        disturbed = [
            np.where(MASK if array.ndim == 2 else MASK[:, :, None], array, np.float32(9.0))
            for array in (*support(), LABEL)
        ]
        result = head.solve(*map(tf.constant, (*disturbed, MASK)))
        np.testing.assert_allclose(result, solution(head), atol=1e-6)

    def test_order_of_the_support_does_not_matter(self):
        head = self.built()
        turned = [array[:, ::-1] for array in (*support(), LABEL, MASK)]
        np.testing.assert_allclose(head.solve(*turned), solution(head), atol=1e-5)


class TestItem(HeadRecipe):
    pass


class TestPair(HeadRecipe):
    kind, width = "pair", 6


class TestHidden(HeadRecipe):
    kind, width = "hidden", 8


def test_positives_of_a_direction_raise_its_items():
    head = RidgeHead(input_dimension=2, features=2, inputs="item")
    pairs = tf.constant([[[0, 0, 1, 0], [0, 0, -1, 0]]], tf.float32)
    base = tf.zeros([1, 2])
    solved = head.solve(pairs, pairs, base, tf.constant([[1.0, 0.0]]), tf.ones([1, 2], tf.bool))
    high, low = head(pairs, pairs, base, solved).numpy()[0]
    assert high > low + 0.1


@pytest.mark.parametrize("size", [0, 1, 3000])
def test_many_equal_pairs_are_solved_as_in_double_precision(size):
    """Single precision gives up here: the tests of `ridge` have the numbers."""
    head = RidgeHead(input_dimension=64, features=64)
    pairs = np.repeat(normal(1, 1, 128), size, axis=1)
    base, label = np.zeros((1, size), np.float32), np.ones((1, size), np.float32)
    head.build([None, None, 128])
    head.log_penalty.assign(-10.0)  # The least penalty there is.
    solved = head.solve(*map(tf.constant, (pairs, pairs, base, label, label > 0)))
    x = beyond_the_paper.ridge_features(pairs[0], None, reference_weights(head), "item")
    expected = np.linalg.solve(x.T @ x + 0.1 * np.eye(65), x.sum(axis=0))
    np.testing.assert_allclose(solved[0], expected, rtol=1e-4, atol=1e-6)
