"""A model of a few operations whose answers tell which version gave them."""

import tensorflow as tf

VERSION_FILE = "version.txt"
CATALOGUE = 5
TOP_K = 3
CONTEXT = 4
NOT_A_NUMBER = float("nan")


class TinyModel(tf.Module):
    """The serving contract in a few lines.

    A score is the version, plus 0.5 * sigmoid(mean support label), plus a little that depends on
    query item and user, so its integer part is the version and requests cannot be confused. A
    context of another version scores -1. As in every export a task with wrong values has NaN and
    `valid` false where another task of the request is valid, and fails the request where none is.
    The version is read from an asset, so that one export becomes another version by changing a
    line.
    """

    def __init__(self, version_file, id_dtype):
        super().__init__()
        self.versions = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                tf.saved_model.Asset(str(version_file)).asset_path,
                *(tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER),
                *(tf.string, tf.lookup.TextFileIndex.WHOLE_LINE),
            ),
            default_value="",
        )
        self.half = tf.Variable(0.5)
        self.id_dtype = id_dtype

    @property
    def version(self):
        return tf.strings.to_number(self.versions.lookup(tf.constant(0, tf.int64)))

    def _number(self, ids, buckets):
        if self.id_dtype == tf.string:
            number = tf.strings.to_hash_bucket_fast(ids, buckets)
        else:
            number = tf.math.floormod(ids, buckets)
        return tf.cast(number, tf.float32) / buckets

    def _known(self, ids):
        if self.id_dtype == tf.string:
            return tf.strings.regex_full_match(ids, "[ui][0-9]{1,6}")
        return (ids >= 0) & (ids < 1_000_000)

    def encode(self, support_user_id, support_item_id, support_label, support_length):
        shape = tf.shape(support_label)
        checks = [
            tf.debugging.assert_equal(tf.shape(ids), shape, f"`{name}` must be as support_label.")
            for name, ids in (
                ("support_user_id", support_user_id),
                ("support_item_id", support_item_id),
            )
        ]
        checks.append(
            tf.debugging.assert_equal(
                tf.shape(support_length)[0], shape[0], "`support_length` must have B rows."
            )
        )
        with tf.control_dependencies(checks):
            mask = tf.sequence_mask(tf.clip_by_value(support_length, 0, shape[1]), shape[1])
        label = tf.where(mask, support_label, tf.zeros_like(support_label))
        within = (support_length >= 0) & (support_length <= shape[1])
        valid = within & tf.reduce_all(tf.math.is_finite(label), axis=1)
        none = ~tf.reduce_any(valid)
        length = tf.where(none, support_length, 0)
        refusals = [
            tf.debugging.assert_non_negative(length, "`support_length` must not be negative."),
            tf.debugging.assert_less_equal(length, shape[1], "`support_length` must be at most S."),
            tf.debugging.assert_all_finite(
                tf.where(none, label, 0.0), "`support_label` must be finite."
            ),
        ]
        with tf.control_dependencies(refusals):
            support_length = tf.identity(support_length)
        count = tf.cast(tf.maximum(support_length, 1), tf.float32)
        known = mask & self._known(support_user_id) & self._known(support_item_id)
        support_known = tf.reduce_sum(tf.cast(known, tf.int32), axis=1)
        mean = tf.sigmoid(tf.reduce_sum(label / count[:, None], axis=1))
        context = tf.stack(
            [
                tf.fill(tf.shape(mean), self.version),
                mean,
                tf.cast(support_length, tf.float32),
                tf.cast(support_known, tf.float32),
            ],
            axis=1,
        )
        return tf.where(valid[:, None], context, NOT_A_NUMBER), support_known

    def apply(self, context, query_user_id, query_item_id):
        valid = tf.reduce_all(tf.math.is_finite(context), axis=1)
        alone = tf.where(tf.reduce_any(valid), 0.0, context)
        tf.debugging.assert_all_finite(alone, "`context` must be finite.")
        checks = [
            tf.debugging.assert_equal(
                tf.shape(query_user_id), tf.shape(query_item_id), "`query_user_id` differs."
            ),
            tf.debugging.assert_equal(
                tf.shape(query_user_id)[0],
                tf.shape(context)[0],
                "`query_user_id` must have B rows.",
            ),
        ]
        with tf.control_dependencies(checks):
            score = (
                context[:, :1] + self.half * context[:, 1:2] + 0.1 * self._number(query_item_id, 97)
            )
        score += 0.01 * self._number(query_user_id, 89)
        score = tf.where(tf.equal(context[:, :1], self.version), score, -tf.ones_like(score))
        score = tf.where(valid[:, None], score, NOT_A_NUMBER)
        known = {"user_known": self._known(query_user_id), "item_known": self._known(query_item_id)}
        known["query_known"] = known["user_known"] & known["item_known"]
        return score, known, valid

    def signatures(self):
        def spec(name, *shape, dtype=self.id_dtype):
            return tf.TensorSpec(shape, dtype, name=name)

        support = {
            "support_user_id": spec("support_user_id", None, None),
            "support_item_id": spec("support_item_id", None, None),
            "support_label": spec("support_label", None, None, dtype=tf.float32),
            "support_length": spec("support_length", None, dtype=tf.int32),
        }
        query = {
            "query_user_id": spec("query_user_id", None, None),
            "query_item_id": spec("query_item_id", None, None),
        }

        def score(**inputs):
            context, _ = self.encode(**{name: inputs[name] for name in support})
            scores, known, valid = self.apply(context, **{name: inputs[name] for name in query})
            return {"score": scores, **known, "valid": valid}

        def encode(**inputs):
            context, known = self.encode(**inputs)
            valid = tf.reduce_all(tf.math.is_finite(context), axis=1)
            return {"context": context, "support_known": known, "valid": valid}

        def score_with_context(context, query_user_id, query_item_id):
            scores, known, valid = self.apply(context, query_user_id, query_item_id)
            return {"score": scores, **known, "valid": valid}

        def recommend(user_id, **inputs):
            context, _ = self.encode(**inputs)
            items = tf.range(CATALOGUE, dtype=tf.int64)
            items = (
                tf.strings.join(["i", tf.as_string(items)]) if self.id_dtype == tf.string else items
            )
            items = tf.tile(items[None, :], [tf.shape(context)[0], 1])
            users = tf.tile(user_id[:, None], [1, CATALOGUE])
            scores, _, valid = self.apply(context, users, items)
            best, where = tf.math.top_k(scores, TOP_K)
            return {
                "item_id": tf.gather(items, where, batch_dims=1),
                "score": best,
                "valid": valid,
            }

        def explain(**inputs):
            context, _ = self.encode(**{name: inputs[name] for name in support})
            scores, _, valid = self.apply(context, **{name: inputs[name] for name in query})
            return {
                "valid": valid,
                "score": scores,
                "context": context,
                "scale_0": scores[:, :, None] * tf.ones([CONTEXT]),
                "shift_0": scores[:, :, None] + tf.ones([CONTEXT]),
            }

        def parse(inputs):
            features = {"value": tf.io.FixedLenFeature([], tf.float32, 0.0)}
            return 0.5 * tf.sigmoid(tf.io.parse_example(inputs, features)["value"])

        def regress(inputs):
            return {"outputs": self.version + parse(inputs)}

        def classify(inputs):
            high = parse(inputs)
            classes = tf.tile(tf.constant([["low", "high"]]), [tf.size(high), 1])
            return {"classes": classes, "scores": tf.stack([1.0 - high, high], axis=1)}

        def slow(steps):
            work = tf.eye(256)
            for _ in tf.range(tf.reduce_max(steps)):
                work = tf.linalg.matmul(work, work)
            return {"version": tf.fill(tf.shape(steps), self.version), "work": 0.0 * work[0, :1]}

        def wait(path):
            """Answers once the file exists."""

            def absent(turn):
                # The pattern changes with the turn, so that no optimiser looks only once.
                pattern = tf.strings.join([path[0], tf.where(turn < 0, "-", "")])
                return tf.equal(tf.size(tf.io.matching_files(pattern)), 0)

            turns = tf.while_loop(absent, lambda turn: (turn + 1,), [tf.constant(0)])[0]
            every = tf.shape(path)
            return {"version": tf.fill(every, self.version), "turns": tf.fill(every, turns)}

        examples = {"inputs": tf.TensorSpec([None], tf.string, name="inputs")}
        wanted = {
            "serving_default": (score, support | query),
            "encode_context": (encode, support),
            "score_with_context": (
                score_with_context,
                {"context": spec("context", None, CONTEXT, dtype=tf.float32)} | query,
            ),
            "recommend": (recommend, support | {"user_id": spec("user_id", None)}),
            "explain": (explain, support | query),
            "serving_tf_example": (regress, examples),
            "classify": (classify, examples),
            "slow": (slow, {"steps": spec("steps", None, dtype=tf.int32)}),
            "wait": (wait, {"path": spec("path", None, dtype=tf.string)}),
        }
        return {
            name: tf.function(function).get_concrete_function(**specs)
            for name, (function, specs) in wanted.items()
        }
