"""`pipelines/import_weights.py`: reference weights in, a served version out."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from cmml_tf.commands.import_weights import main
from cmml_tf.interop.load_reference import model_from_reference
from cmml_tf.interop.reference_weights import read_reference_weights
from cmml_tf.program import run
from cmml_tf.serving.export import export_model
from cmml_tf.serving.feed_forward import check_feed_forward

CHECKOUT = Path(__file__).parents[2]
GOLDEN_FOLDER = CHECKOUT.parent / "shared" / "golden"
GOLDEN = sorted(GOLDEN_FOLDER.glob("scenario_*.npz"))
needs_golden = pytest.mark.skipif(not GOLDEN, reason="../shared/golden is not beside the checkout")
THROUGH_THE_COMMAND = "scenario_film_dot_gru_seed1"
USERS, ITEMS = 100, 200


@pytest.fixture
def exported(commands):
    """`exported(*arguments)`: the version folder that the command writes and prints."""

    def export(*arguments):
        folder = commands.folder / "models"
        ended = commands.run_here("import_weights.py", *arguments, "--export-dir", folder)
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"{folder / '1'}\n"
        return folder / "1"

    return export


def rows(golden, *names):
    return tf.constant(np.concatenate([golden[f"in/{name}"] for name in names])[None], tf.int64)


def support(golden):
    return {
        "support_user_id": rows(golden, "support_pos_users", "support_neg_users"),
        "support_item_id": rows(golden, "support_pos_items", "support_neg_items"),
        "support_label": tf.constant(np.repeat(np.float32([1, 0]), [64, 128])[None]),
        "support_length": tf.constant([192]),
    }


def check_against_golden(version, path):
    """Every signature equals the recorded outputs, negatives in the request or not."""
    signatures = tf.saved_model.load(str(version)).signatures
    golden = np.load(path)
    encoded = signatures["encode_context"](**support(golden))
    np.testing.assert_allclose(encoded["context"], golden["out/context"], rtol=0, atol=1e-5)
    assert encoded["support_known"].numpy().tolist() == [192]
    query = {
        "query_user_id": rows(golden, "query_users"),
        "query_item_id": rows(golden, "query_items"),
    }
    answer = signatures["serving_default"](**support(golden), **query)
    np.testing.assert_allclose(answer["score"][0], golden["out/scores"], rtol=0, atol=1e-5)
    candidates = signatures["score_with_context"](
        context=encoded["context"],
        query_user_id=tf.repeat(rows(golden, "serve_user"), 100, axis=1),
        query_item_id=rows(golden, "serve_items"),
    )
    np.testing.assert_allclose(
        candidates["score"][0], golden["out/serve_scores"], rtol=0, atol=1e-5
    )
    padding = signatures["score_with_context"](
        context=encoded["context"],
        query_user_id=tf.constant([[USERS, 0, 0]], tf.int64),
        query_item_id=tf.constant([[0, ITEMS, 0]], tf.int64),
    )
    assert padding["query_known"].numpy().tolist() == [[False, False, True]]


# What the model says is compared in tests/interop, and exports with models in tests/serving.
@needs_golden
@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in GOLDEN if path.stem != THROUGH_THE_COMMAND], ids=lambda p: p.stem
)
def test_an_imported_model_gives_the_recorded_scores(path, tmp_path):
    model = model_from_reference(read_reference_weights(path))
    version = export_model(model, tmp_path, range(USERS), range(ITEMS))
    check_against_golden(version, path)


@needs_golden
def test_the_command_exports_a_model_that_gives_the_recorded_scores(exported):
    path = GOLDEN_FOLDER / f"{THROUGH_THE_COMMAND}.npz"
    version = exported(path)
    check_feed_forward(version)
    check_against_golden(version, path)


USER_MODEL = GOLDEN_FOLDER / "user_film_dot_mean_seed1.npz"
TABLES = GOLDEN_FOLDER / "user_embedding_tables_seed1.npz"
needs_user_model = pytest.mark.skipif(
    not USER_MODEL.exists(), reason="../shared/golden is not beside the checkout"
)
FEATURES = {
    "movie_id": ("rate", "genre", "director", "actor"),
    "user_id": ("gender", "age", "occupation", "zip"),
}


def recorded_catalogue(golden):
    """The recorded 40 support and 10 query rows as 50 movies and 50 users."""
    arrays = {}
    for ids, names in FEATURES.items():
        arrays[ids] = np.arange(1, 51)
        for name in names:
            parts = [golden[f"in/{part}_{name}"] for part in ("support", "query")]
            arrays[name] = np.concatenate(parts)
    return arrays


@needs_user_model
def test_the_command_exports_a_user_model_that_gives_the_recorded_scores(exported, tmp_path):
    golden = np.load(USER_MODEL)
    np.savez(tmp_path / "features.npz", **recorded_catalogue(golden))
    version = exported(USER_MODEL, "--catalogue", tmp_path / "features.npz", "--tables", TABLES)
    signatures = tf.saved_model.load(str(version)).signatures
    known, asked = (np.arange(*ends)[None] for ends in ((1, 41), (41, 51)))
    answer = signatures["serving_default"](
        support_user_id=tf.constant(known, tf.int64),
        support_item_id=tf.constant(known, tf.int64),
        support_label=tf.constant(golden["in/support_y"].T, tf.float32),
        support_length=tf.constant([40]),
        query_user_id=tf.constant(asked, tf.int64),
        query_item_id=tf.constant(asked, tf.int64),
    )
    np.testing.assert_allclose(answer["score"][0], golden["out/scores"].ravel(), rtol=0, atol=1e-5)


@needs_user_model
def test_a_user_model_without_what_it_needs_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalogue = recorded_catalogue(np.load(USER_MODEL))
    files = {"whole": catalogue, "alone": {"movie_id": catalogue["movie_id"]}}
    files["beyond"] = {**catalogue, "zip": catalogue["zip"] + 5000}
    files["short"] = {**catalogue, "age": catalogue["age"][:3]}
    files["text"] = {**catalogue, "genre": catalogue["genre"].astype(float)}
    files["twice"] = {**catalogue, "user_id": np.ones(50, int)}
    for name, arrays in files.items():
        np.savez(tmp_path / f"{name}.npz", **arrays)
    base = [str(USER_MODEL), "--export-dir", str(tmp_path / "models"), "--tables", str(TABLES)]
    cases = {
        (): "give `--catalogue`",
        ("--catalogue", "absent"): "absent.npz'",
        ("--catalogue", "alone"): "`user_id` is missing in 'alone.npz'",
        ("--catalogue", "beyond"): "`zip` of 'beyond.npz' must hold rows of a table of 3402",
        ("--catalogue", "short"): "`age` of 'short.npz' must have the shape [50]",
        ("--catalogue", "text"): "`genre` must hold integers",
        ("--catalogue", "twice"): "`user_id` of 'twice.npz' must be a list of different ids",
        ("--hybrid=mlp", "--catalogue", "whole"): "`--hybrid` belongs to the scenario setting",
    }
    for case, sentence in cases.items():
        given = [part if part.startswith("--") else f"{part}.npz" for part in case]
        monkeypatch.setattr(sys, "argv", ["import_weights.py", *base, *given])
        with pytest.raises(SystemExit) as end:
            run(main)
        assert end.value.code == 2
        errors = capsys.readouterr().err
        assert sentence in errors
        assert (errors.startswith("error: "), errors.count("\n")) == (True, 1)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no weights or array file"),
        (b"PK\x03\x04 and then nothing", "is not an .npz file"),
        ({"in/user_embeddings": np.zeros([3, 2])}, "`in/item_embeddings` is missing"),
    ],
    ids=["absent", "damaged", "incomplete"],
)
def test_a_file_that_cannot_be_imported_ends_in_one_sentence(
    content, sentence, tmp_path, capsys, monkeypatch
):
    path = tmp_path / "weights.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.savez(path, **content)
    monkeypatch.setattr(
        sys, "argv", ["import_weights.py", str(path), "--export-dir", str(tmp_path / "models")]
    )
    with pytest.raises(SystemExit) as end:
        run(main)
    assert end.value.code == 2
    output, errors = capsys.readouterr()
    assert output == ""
    (line,) = errors.splitlines()
    assert line.startswith("error: ")
    assert sentence in line
    assert not (tmp_path / "models").exists()


def test_an_unknown_option_is_refused(commands):
    ended = commands.run(
        "import_weights.py", "weights.npz", "--export-dir", "models", "--hybrid=sum"
    )
    assert ended.returncode == 2
    assert "Argument --hybrid: invalid choice: 'sum'" in ended.stderr
    assert not (commands.folder / "models").exists()
