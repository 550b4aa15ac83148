"""`TinyModel` with the output `valid`, as exports have it: a bad task does not fail the others."""

import tensorflow as tf
from tiny_model import TinyModel

PREDICT = ("serving_default", "encode_context", "score_with_context", "recommend", "explain")


class ValidModel(TinyModel):
    """Answers NaN for tasks that are not valid, and refuses requests in which none is.

    Labels are ratings from 0 to 5, which a client does not know before it asks.
    """

    def signatures(self):
        signatures = super().signatures()
        for name in PREDICT:
            signatures[name] = task_by_task(signatures[name])
        return signatures


def task_by_task(signature):
    specs = {spec.name: spec for spec in tf.nest.flatten(signature.structured_input_signature)}

    def answer(**inputs):
        rows = inputs["context"] if "context" in inputs else inputs["support_label"]
        good = tf.math.is_finite(rows)
        if "support_length" in inputs:
            length, S = inputs["support_length"], tf.shape(rows)[1]
            read = tf.sequence_mask(length, S)
            on_scale = ((rows >= 0) & (rows <= 5)) | ~read
            valid = tf.reduce_all((good & on_scale) | ~read, axis=1)
            valid &= (length >= 0) & (length <= S)
            sentence = "`support_label` must lie between 0 and 5."
            tf.debugging.Assert(tf.reduce_any(valid) | tf.reduce_all(on_scale), [sentence])
        else:
            valid = tf.reduce_all(good, axis=1)
        # Where no task is valid, the checks inside see what was sent and refuse it.
        keep = valid | ~tf.reduce_any(valid)
        for name in ("context", "support_label"):
            if name in inputs:
                inputs[name] = tf.where(keep[:, None], inputs[name], 0.0)
        if "support_length" in inputs:
            inputs["support_length"] = tf.where(keep, inputs["support_length"], 0)
        outputs = signature(**inputs)
        for name, output in outputs.items():
            if output.dtype == tf.float32:
                broad = tf.reshape(valid, [-1] + [1] * (len(output.shape) - 1))
                outputs[name] = tf.where(broad, output, float("nan"))
        return {**outputs, "valid": valid}

    return tf.function(answer).get_concrete_function(**specs)
