"""Exported version folders: what they hold, what they answer elsewhere, how exports end badly."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from models.every_preset import MODEL_PRESETS
from serving_cases import (
    DIMENSION,
    ITEM_IDS,
    ITEMS,
    PLAIN,
    SMALL_POOLING,
    USER_IDS,
    USERS,
    call,
    filled_model,
    request_by_id,
)
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

import cmml_tf
from cmml_tf.serving.export import export_model
from cmml_tf.serving.feed_forward import check_feed_forward
from cmml_tf.serving.server.classify_regress import read_examples
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.version.frozen_weights import LARGEST
from cmml_tf.serving.version.version_folder import versions
from cmml_tf.types import Episode, Support

HERE = Path(__file__).parents[1]


# Presets, and mixtures of two: between them they have every part that a preset has. A model that
# matches ids has inputs of its own, and tests of its own (test_matching_graph).
NAMES = ("cmml-film-plus", "cmml-soft-m-ridge", "cmml-ridge", "no-context")
EXPORTED = {
    **{name: MODEL_PRESETS[name] for name in NAMES},
    "attention, sigmoid": replace(
        MODEL_PRESETS["cmml-attention-query"], modulation="sigmoid", residual_scale=False
    ),
    "non-negative, mlp": replace(MODEL_PRESETS["non-negative"], hybrid="mlp"),
}
OTHERS = [
    name
    for name, config in MODEL_PRESETS.items()
    if config.encoder != "matching" and name not in NAMES
]
FILM = "cmml-film-plus"
FACTS = {
    "config": {"preset": "pe", "units": (1, 2)},
    "metrics": {"recall@10": np.float32(0.5), "mrr": float("nan")},
    "data_fingerprint": "abc",
}
ID_KINDS = {
    "int64": (USER_IDS, list(range(100, 100 + ITEMS))),
    "string": ([f"user {index}" for index in range(USERS)], ITEM_IDS),
    "mixed": (USER_IDS, ITEM_IDS),
}


def run(script, *arguments):
    """A script of this folder in a process of its own."""
    return subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def trained_scores(model, inputs, user_ids, item_ids):
    """The model's own scores, from rows."""
    rows = {}
    for name, values in inputs.items():
        ids = user_ids if "user" in name else item_ids
        row_of = {value: row for row, value in enumerate(ids)}
        rows[name] = (
            np.array([[row_of[value] for value in line] for line in values.tolist()], np.int32)
            if name.endswith("_id")
            else values
        )
    support = Support(
        rows["support_user_id"],
        rows["support_item_id"],
        rows["support_label"],
        rows["support_length"],
    )
    episode = Episode(support, rows["query_user_id"], rows["query_item_id"], None)
    return model(episode, training=False).numpy()


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Of each name: the version folder, and the scores of model and export for one request."""
    folder = tmp_path_factory.mktemp("exported")
    cases, expected, paths = {}, {}, {}
    for index, (name, config) in enumerate(EXPORTED.items()):
        user_ids, item_ids = list(ID_KINDS.values())[index % len(ID_KINDS)]
        model = filled_model(config, seed=index)
        paths[name] = export_model(model, folder / name, user_ids, item_ids, manifest=FACTS)
        inputs = request_by_id(B=3, S=40, Q=5, seed=index, user_ids=user_ids, item_ids=item_ids)
        inputs["support_length"] = np.array([40, 7, 0], np.int32)
        expected[name] = trained_scores(model, inputs, user_ids, item_ids)
        cases[name] = [str(paths[name]), *(str(folder / f"{name}.{end}.npz") for end in "ra")]
        np.savez(cases[name][1], **inputs)
    (folder / "cases.json").write_text(json.dumps(list(cases.values())))
    ended = run("fresh_process.py", folder / "cases.json")
    assert ended.returncode == 0, ended.stderr
    answers = {name: dict(np.load(case[2])) for name, case in cases.items()}
    by_python = np.load(f"{cases[FILM][2]}.python.npz")
    for key, value in answers[FILM].items():
        np.testing.assert_allclose(by_python[key], value, rtol=0, atol=1e-6)
    return {name: (paths[name], expected[name], answers[name]) for name in EXPORTED}


@pytest.mark.parametrize("name", EXPORTED)
def test_a_process_without_cmml_tf_gives_the_model_s_scores(exported, name):
    version, expected, answer = exported[name]
    np.testing.assert_allclose(answer["score"], expected, rtol=0, atol=1e-5)
    assert answer["query_known"].all()
    check_feed_forward(version)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_preset_gives_the_model_s_scores(name, tmp_path):
    model = filled_model(MODEL_PRESETS[name])
    version = export_model(model, tmp_path, USER_IDS, ITEM_IDS)
    inputs = request_by_id(B=3, S=40, Q=5)
    inputs["support_length"] = np.array([40, 7, 0], np.int32)
    answer = call(tf.saved_model.load(str(version)).signatures["serving_default"], inputs)
    expected = trained_scores(model, inputs, USER_IDS, ITEM_IDS)
    np.testing.assert_allclose(answer["score"], expected, rtol=0, atol=1e-5)


def test_every_part_of_a_preset_is_in_one_that_was_exported():
    def parts(configs):
        fields = ("encoder", "gru_state", "support_order", "positives_only", "hybrid", "head")
        return {
            (field, getattr(config, field))
            for config in configs
            for field in (*fields, "modulation")
        }

    assert parts(MODEL_PRESETS[name] for name in OTHERS) <= parts(EXPORTED.values())


def test_every_id_type_was_exported(exported):
    tables = [json.loads((path / "assets.extra" / "cmml_manifest.json").read_text())["model"]
              for path, _, _ in exported.values()]  # fmt: skip
    kinds = {(table["users"]["id_dtype"], table["items"]["id_dtype"]) for table in tables}
    assert kinds == {("int64", "int64"), ("string", "string"), ("int64", "string")}


def test_the_saved_model_holds_variables_and_tables_and_no_keras_object(exported):
    path = exported[FILM][0] / "saved_model.pb"
    meta_graph = saved_model_pb2.SavedModel.FromString(path.read_bytes()).meta_graphs[0]
    objects = {
        node.user_object.identifier
        for node in meta_graph.object_graph_def.nodes
        if node.WhichOneof("kind") == "user_object"
    }
    assert objects == {"_generic_user_object", "trackable_list_wrapper", "signature_map"}
    functions = meta_graph.graph_def.library.function
    # A call by dictionary, checks and the loop of large calls have functions of their own.
    assert len(functions) < 160
    shapes = {
        tuple(size.size for size in node.attr["value"].tensor.tensor_shape.dim)
        for nodes in (meta_graph.graph_def.node, *(function.node_def for function in functions))
        for node in nodes
        if node.op == "Const" and node.attr["dtype"].type == tf.float32.as_datatype_enum
    }
    # Weights of the network may be constants; tables, which grow with the data, are variables.
    tables = {(count + more, DIMENSION) for count in (USERS, ITEMS) for more in (0, 1)}
    assert shapes.isdisjoint(tables)
    assert max(math.prod(shape) for shape in shapes) <= LARGEST
    shapes = dict(tf.train.list_variables(str(path.parent / "variables" / "variables")))
    assert [USERS + 1, DIMENSION] in shapes.values()
    assert [ITEMS + 1, DIMENSION] in shapes.values()


def test_the_vocabularies_are_assets_one_id_a_line(exported):
    name = next(name for index, name in enumerate(EXPORTED) if index % 3 == 2)
    assets = exported[name][0] / "assets"
    assert (assets / "user_ids.txt").read_text().split("\n") == [*map(str, USER_IDS), ""]
    assert (assets / "item_ids.txt").read_text(encoding="utf-8").split("\n") == [*ITEM_IDS, ""]


def test_the_manifest_holds_the_caller_s_facts_and_the_signature_table(exported):
    version = exported["non-negative, mlp"][0]
    manifest = json.loads((version / "assets.extra" / "cmml_manifest.json").read_text())
    assert manifest["config"] == {"preset": "pe", "units": [1, 2]}
    assert manifest["metrics"] == {"recall@10": 0.5, "mrr": None}
    assert manifest["data_fingerprint"] == "abc"
    assert manifest["versions"] == {"cmml_tf": cmml_tf.__version__, "tensorflow": tf.__version__}
    assert manifest["model"] == {
        "context_dimension": 8,
        "context_width": {"task": 8, "support_pair": 0},
        "positives_only": True,
        "users": {"known": USERS, "id_dtype": "int64", "hashed": False},
        "items": {"known": ITEMS, "id_dtype": "string"},
    }
    assert manifest["limits"] == {
        "support_pairs": 4096,
        "query_pairs": 65_536,
        "tasks": 1024,
        "support_pairs_of_a_call": 131_072,
        "query_pairs_of_a_call": 2_097_152,
    }
    assert manifest["signatures"]["encode_context"]["outputs"] == {
        "context": {"dtype": "float32", "shape": [-1, 8]},
        "support_known": {"dtype": "int32", "shape": [-1]},
        "valid": {"dtype": "bool", "shape": [-1]},
    }
    assert manifest["signatures"]["serving_default"]["inputs"]["support_user_id"] == {
        "dtype": "int64",
        "shape": [-1, -1],
    }


def test_warm_up_requests_ask_every_signature_and_are_answered(exported):
    version = exported[FILM][0]
    servable = Servable("film", 1, str(version), ["serve"])
    records = tf.data.TFRecordDataset(
        str(version / "assets.extra" / "tf_serving_warmup_requests")
    ).as_numpy_iterator()
    asked = set()
    for record in records:
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.HasField("regress_log"):
            request = log.regress_log.request
            inputs = {"inputs": read_examples(request.input)}
        else:
            request = log.predict_log.request
            inputs = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        answer = servable.run(request.model_spec.signature_name, inputs)
        assert all(np.isfinite(v).all() for v in answer.values() if v.dtype == np.float32)
        assert answer.get("query_known", np.True_).all()
        if request.model_spec.signature_name == "recommend":  # at most the whole catalogue
            assert answer["item_id"].shape[1] == answer["score"].shape[1] == ITEMS
        asked.add(request.model_spec.signature_name)
    assert asked == {*servable.signature_defs} - {"__saved_model_init_op"}


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"signatures": {}}, "must leave .* to the exporter. Received: 'signatures'"),
        ({"config": object()}, "must hold numbers, strings, .* Received: a object"),
    ],
)
def test_a_manifest_that_cannot_be_kept_is_refused_before_anything_is_written(
    tmp_path, facts, sentence
):
    with pytest.raises(ValueError, match=sentence):
        export_model(
            filled_model(SMALL_POOLING), tmp_path / "x", USER_IDS, ITEM_IDS, manifest=facts
        )
    assert not (tmp_path / "x").exists()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = filled_model(SMALL_POOLING)
    model.trainable_variables[0].assign(model.trainable_variables[0] * np.nan)
    with pytest.raises(ValueError, match="`model` must have finite weights"):
        export_model(model, tmp_path / "x", USER_IDS, ITEM_IDS)
    assert not (tmp_path / "x").exists()


def test_a_row_for_unknown_ids_that_is_not_zero_is_refused(tmp_path):
    model = filled_model(SMALL_POOLING)
    table = model.pair_embedding.item_table
    table.assign(tf.ones_like(table))
    with pytest.raises(ValueError, match="zeros in the last row"):
        export_model(model, tmp_path / "x", USER_IDS, ITEM_IDS)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"could not be exported to .*/file is a file\. Move"):
        export_model(filled_model(SMALL_POOLING), tmp_path / "file" / "models", USER_IDS, ITEM_IDS)


# Where an export is killed (`KILLED_AT` of export_worker.py); the last one writes a second version.
KILLED = ("graph", "second")
KILLED_EARLIER_AND_LATER = ("scratch", "vocabulary", "variables", "extra", "appeared")
# Where the disk is full (`FILE_LIMITS` there).
FULL = ("full_at_once", "full_at_graph")
FULL_BETWEEN = ("full_at_variables",)


def bad_ends_in(folder, *cases):
    ended = run("export_worker.py", folder, *cases)
    assert ended.returncode == 0, ended.stderr
    return folder, json.loads(ended.stdout)


@pytest.fixture(scope="module")
def bad_ends(tmp_path_factory):
    """The folder of exports that were killed or ran out of space, and how the latter ended."""
    return bad_ends_in(tmp_path_factory.mktemp("bad_ends"), *KILLED, *FULL)


def check_no_version_is_half_written(folder):
    inputs = request_by_id()
    for name in ("support_item_id", "query_item_id"):
        inputs[name] = inputs[name].astype(object)
    for base in folder.iterdir():
        if not base.is_dir() or base.name.startswith("full"):
            continue
        for version in versions(base):
            saved = base / str(version)
            extra = {path.name for path in (saved / "assets.extra").iterdir()}
            assert extra == {
                *("cmml_manifest.json", "cmml_learned_tasks.npy", "tf_serving_warmup_requests")
            }
            servable = Servable("killed", version, str(saved), ["serve"])
            assert np.isfinite(servable.run("serving_default", inputs)["score"]).all()


def test_a_killed_export_leaves_no_numbered_folder_half_written(bad_ends):
    folder, _ = bad_ends
    check_no_version_is_half_written(folder)
    assert versions(folder / "graph") == []
    assert list((folder / "graph").glob("tmp-*/version/saved_model.pb"))
    assert 1 in versions(folder / "second")


@pytest.mark.slow
def test_neither_does_one_that_is_killed_earlier_or_later(tmp_path):
    folder, _ = bad_ends_in(tmp_path, *KILLED_EARLIER_AND_LATER)
    check_no_version_is_half_written(folder)
    for name in ("scratch", "vocabulary", "variables"):
        assert versions(folder / name) == []
    assert 1 in versions(folder / "appeared")


def test_the_next_export_clears_away_what_a_killed_one_left(bad_ends):
    base = bad_ends[0] / "graph"
    assert list(base.glob("tmp-*"))
    version = export_model(filled_model(PLAIN), base, USER_IDS, ITEM_IDS)
    assert list(base.iterdir()) == [version] == [base / "1"]


@pytest.mark.parametrize("name", FULL)
def test_a_full_disk_ends_in_one_sentence_and_leaves_nothing(bad_ends, name):
    check_full_disk(*bad_ends, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL_BETWEEN)
def test_so_does_one_that_is_full_between(tmp_path, name):
    check_full_disk(*bad_ends_in(tmp_path, name), name)


def check_full_disk(folder, outcomes, name):
    assert outcomes[name] == (
        f"The model could not be exported to {str(folder / name)!r}: File too large. Nothing was "
        "left there; make sure that the folder is writable and its disk has room."
    )
    assert list((folder / name).iterdir()) == []
