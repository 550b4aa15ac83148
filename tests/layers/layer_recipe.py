"""What every layer of the library promises; `test_every_layer` checks it of each."""

import json

import numpy as np
import pytest
import tensorflow as tf


class LayerRecipe:
    """Subclasses say how to make the layer; `test_every_layer` runs the checks below on it.

    A subclass defines `make()`, `inputs()` (float32 or int32 arrays, batch axis first, 3 rows),
    `build(layer)` (as a model does, before any call), `weights` (how many variables that makes),
    `output_shapes` (one for each output, without the batch axis) and `refused` (constructor
    arguments, and the start of the sentence they raise). `mask` is given for layers that read one.
    """

    weights: int
    output_shapes: tuple
    refused: tuple = ()
    mask = None
    frozen = 0
    """How many of the variables are not trained."""
    batch_axis = 0
    without_gradient = ()
    """Ends of the names of weights that no output depends on."""
    input_axes = None
    """For each input the sizes that are unknown in a graph; by default all but the last."""

    def make(self, **changes):
        raise NotImplementedError

    def inputs(self):
        raise NotImplementedError

    def build(self, layer):
        raise NotImplementedError

    def call(self, layer, inputs, **given):
        return layer(*inputs, **given)

    def built(self):
        """The layer with random values in every trained weight, biases too."""
        layer = self.make()
        self.build(layer)
        rng = np.random.default_rng(0)
        for variable in layer.trainable_variables:
            variable.assign(rng.normal(0, 0.5, variable.shape))
        return layer

    def outputs(self, layer, inputs=None, mask=None):
        """The layer's outputs as a list."""
        mask = self.mask if mask is None else mask
        given = {} if mask is None else {"mask": tf.constant(mask)}
        inputs = [*map(tf.constant, self.inputs())] if inputs is None else inputs
        return tf.nest.flatten(self.call(layer, inputs, **given))

    def computes_the_same(self, layer, again):
        for ours, theirs in zip(self.outputs(layer), self.outputs(again), strict=True):
            np.testing.assert_array_equal(ours, theirs)

    def check_output_shapes_and_values_are_sound(self):
        outputs = self.outputs(self.built())
        assert [output.shape.as_list() for output in outputs] == [
            [*shape[: self.batch_axis], 3, *shape[self.batch_axis :]]
            for shape in self.output_shapes
        ]
        for output in outputs:
            assert output.dtype == tf.float32
            assert np.isfinite(output).all()

    def check_build_creates_every_weight(self):
        layer = self.make()
        assert layer.weights == []
        self.build(layer)
        assert len(layer.weights) == self.weights
        before = [id(weight) for weight in layer.weights]
        self.outputs(layer)
        assert [id(weight) for weight in layer.weights] == before

    def check_every_weight_has_a_name_of_its_own(self):
        names = [weight.name for weight in self.built().weights]
        assert len(set(names)) == len(names)

    def check_config_round_trip_computes_the_same(self):
        layer = self.built()
        config = layer.get_config()
        again = type(layer).from_config(config)
        self.build(again)
        assert json.dumps(again.get_config()) == json.dumps(config)
        again.set_weights(layer.get_weights())
        self.computes_the_same(layer, again)

    def check_serialized_layer_is_built_as_it_was(self):
        layer = self.built()
        text = json.dumps(tf.keras.utils.serialize_keras_object(layer))
        again = tf.keras.utils.deserialize_keras_object(json.loads(text))
        assert type(again) is type(layer)
        assert len(again.weights) == self.weights
        again.set_weights(layer.get_weights())
        self.computes_the_same(layer, again)

    def check_is_registered(self):
        name = tf.keras.utils.get_registered_name(type(self.make()))
        assert name == f"cmml_tf>{type(self.make()).__name__}"

    def check_gradient_reaches_every_weight(self):
        layer = self.built()
        trainable = layer.trainable_variables
        assert len(trainable) == self.weights - self.frozen
        rng = np.random.default_rng(1)
        with tf.GradientTape() as tape:
            outputs = self.outputs(layer)
            # Weighted, since the plain sum of a softmax does not depend on its weights.
            loss = sum(
                tf.reduce_sum(output * rng.normal(size=output.shape).astype("f"))
                for output in outputs
            )
        for variable, gradient in zip(trainable, tape.gradient(loss, trainable), strict=True):
            unread = variable.name.split(":")[0].endswith(self.without_gradient)
            if gradient is None:
                assert unread, variable.name
                continue
            gradient = tf.convert_to_tensor(gradient)
            assert np.isfinite(gradient).all(), variable.name
            assert unread or np.abs(gradient).max() > 0, variable.name

    def signature(self):
        inputs = self.inputs()
        unknown = self.input_axes or [range(array.ndim - 1) for array in inputs]
        specs = [
            tf.TensorSpec([None if i in axes else n for i, n in enumerate(a.shape)], a.dtype)
            for a, axes in zip(inputs, unknown, strict=True)
        ]
        return specs if self.mask is None else [*specs, tf.TensorSpec([None, None], tf.bool)]

    def graph(self, layer):
        """The layer as one graph for any batch size."""

        @tf.function(input_signature=self.signature(), autograph=False)
        def call(*arguments):
            if self.mask is None:
                return tf.nest.flatten(self.call(layer, arguments))
            return tf.nest.flatten(self.call(layer, arguments[:-1], mask=arguments[-1]))

        return call

    def arguments(self, rows):
        arrays = [*self.inputs(), *([] if self.mask is None else [np.asarray(self.mask)])]
        return [tf.constant(self.first(array, rows)) for array in arrays]

    def first(self, array, rows):
        return np.take(array, range(rows), axis=self.batch_axis)

    def check_one_graph_saved_and_loaded_serves_every_batch_size(self, tmp_path):
        layer = self.built()
        module = tf.Module()
        # Plain variables: only what the layer's call reads, none of Keras' bookkeeping.
        module.variables_of_layer = layer.weights
        module.call = self.graph(layer)
        tf.saved_model.save(module, str(tmp_path))
        loaded = tf.saved_model.load(str(tmp_path))
        whole = [output.numpy() for output in self.outputs(layer)]
        for rows in (3, 1):
            for output, ours in zip(loaded.call(*self.arguments(rows)), whole, strict=True):
                alone = self.first(ours, rows)
                np.testing.assert_allclose(output, alone, rtol=1e-5, atol=1e-5)

    def check_keras_model_saved_and_loaded_computes_the_same(self, tmp_path):
        layer = self.built()
        arrays = self.inputs()
        symbols = [
            tf.keras.Input(
                [*array.shape[1:]],
                dtype=array.dtype.name,
                batch_size=len(array) if self.batch_axis else None,
            )
            for array in arrays
        ]
        given = {}
        if self.mask is not None:
            symbols.append(tf.keras.Input([len(self.mask[0])], dtype="bool"))
            given["mask"] = symbols[-1]
        model = tf.keras.Model(symbols, self.call(layer, symbols[: len(arrays)], **given))
        path = str(tmp_path / "model.keras")
        model.save(path)
        loaded = tf.keras.models.load_model(path)
        results = tf.nest.flatten(loaded(self.arguments(3)))
        for output, again in zip(self.outputs(layer), results, strict=True):
            np.testing.assert_allclose(output, again, rtol=1e-5, atol=1e-5)

    def check_bad_arguments_are_refused_with_the_sentence(self):
        for changes, sentence in self.refused:
            with pytest.raises(ValueError, match=sentence):
                self.make(**changes)


class MaskedLayerRecipe(LayerRecipe):
    """The recipe for layers that read a sequence with a mask [B, S] and drop the sequence axis."""

    mask = np.array([[True] * 5, [True, True, False, False, False], [False] * 5])

    def check_masked_positions_change_nothing(self):
        layer = self.built()
        (sequence,) = self.inputs()
        disturbed = np.where(self.mask[:, :, None], sequence, np.float32(7.0))
        (ours,), (theirs,) = self.outputs(layer), self.outputs(layer, [tf.constant(disturbed)])
        np.testing.assert_array_equal(ours, theirs)

    def check_masked_batch_equals_each_row_alone(self):
        layer = self.built()
        (sequence,) = self.inputs()
        (whole,) = self.outputs(layer)
        for row in (0, 1):
            alone = sequence[row : row + 1, : self.mask[row].sum()]
            np.testing.assert_allclose(layer(tf.constant(alone)), whole[row : row + 1], atol=1e-6)

    def check_no_mask_means_every_position(self):
        layer = self.built()
        (sequence,) = self.inputs()
        everything = np.ones(sequence.shape[:2], bool)
        np.testing.assert_array_equal(
            layer(tf.constant(sequence)), layer(tf.constant(sequence), mask=tf.constant(everything))
        )
        assert layer.compute_mask(tf.constant(sequence), tf.constant(everything)) is None


def normal(*shape, seed=3):
    """float32 values of the size that embeddings have."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
