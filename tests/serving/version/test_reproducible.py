"""What an export holds of the machine it was made on, of its users, and for other runtimes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from serving_cases import ITEM_IDS, PLAIN, SMALL_POOLING, USER_IDS, USERS, call, filled_model
from serving_cases import request_by_id as request

from cmml_tf.hashed_ids import hash_user_ids, read_user_id_key
from cmml_tf.serving.export import export_model
from cmml_tf.serving.server.loading.config_files import read_batching_parameters
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.version.warmup_check import (
    SHIPPED_ROWS,
    check_warmup_rows,
    warmup_rows,
)

HERE = Path(__file__).parents[1]
SHIPPED = HERE.parents[1] / "export" / "batching.config"
MANIFEST = "assets.extra/cmml_manifest.json"
KEY = b"a key of more than sixteen bytes"


@pytest.fixture(scope="module")
def loaded(version):
    return tf.saved_model.load(str(version))


@pytest.fixture(scope="module")
def version(tmp_path_factory):
    base = tmp_path_factory.mktemp("here")
    model = filled_model(SMALL_POOLING)
    return export_model(model, base, USER_IDS, ITEM_IDS, manifest=facts_of(base))


def facts_of(base):
    """What a manifest is told on a machine with its data in this folder."""
    return {
        "config": {"data": str(base / "my logs" / "log.csv"), "run_dir": "runs/first"},
        "environment": {"command": f"train --data={base}/log.csv --rate=1/2"},
    }


def run(script, *arguments, **environment):
    ended = subprocess.run(
        [sys.executable, str(HERE / script), *map(str, arguments)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def content(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_two_exports_of_one_model_are_equal_byte_for_byte(version, tmp_path):
    first = content(version)
    base = tmp_path / "elsewhere"
    run("two_exports.py", base, json.dumps(facts_of(base)), PYTHONHASHSEED="1")
    elsewhere = content(base / "1")
    assert {"saved_model.pb", MANIFEST} < first.keys()
    assert sorted(first) == sorted(elsewhere)
    assert [name for name in first if first[name] != elsewhere[name]] == []


def test_an_export_tells_nothing_of_the_machine(version):
    for name, value in content(version).items():
        for path in (version.parent, Path.cwd(), Path.home(), Path(sys.prefix)):
            assert str(path).encode() + b"/" not in value, name
    manifest = json.loads((version / MANIFEST).read_text())
    assert manifest["config"] == {"data": "log.csv", "run_dir": "runs/first"}
    assert manifest["environment"] == {"command": "train --data=log.csv --rate=1/2"}


def test_versions_with_other_ids_live_side_by_side(version, loaded, tmp_path):
    """Their tables have the same names."""
    shifted = [*USER_IDS[1:], 555]
    other = export_model(filled_model(SMALL_POOLING), tmp_path, shifted, ITEM_IDS)
    servables = [Servable("x", n, str(path), ["serve"]) for n, path in enumerate((version, other))]
    both = (loaded, tf.saved_model.load(str(other)))
    inputs = request(B=1, S=2, Q=2)
    inputs["query_user_id"][:] = [[USER_IDS[0], 555]]
    inputs = {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in inputs.items()}
    for servable, own, known in zip(
        servables, both, ([[True, False]], [[False, True]]), strict=True
    ):
        assert servable.run("serving_default", inputs)["query_known"].tolist() == known
        answer = call(own.signatures["serving_default"], inputs)
        assert answer["query_known"].tolist() == known


def test_keras_3_calls_an_export_with_a_dictionary(version):
    answer = run("keras_layer.py", version, TF_USE_LEGACY_KERAS="0")
    keras, expected, *others = json.loads(answer.splitlines()[-1])
    assert keras.startswith("3.")
    for scores in others:
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)


def test_the_shipped_batching_loads_every_warm_up_request(version):
    parameters = read_batching_parameters(str(SHIPPED))
    rows = list(warmup_rows(version))
    assert {name for name, _ in rows} >= {"serving_default", "serving_tf_example", "recommend"}
    assert max(count for _, count in rows) <= min(8, parameters.max_batch_size)
    assert parameters.max_batch_size == SHIPPED_ROWS


def test_a_batching_configuration_beside_the_export_counts(version, tmp_path):
    model = filled_model(PLAIN)
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 8 }")
    check_warmup_rows(version, tmp_path)
    file.write_text("max_batch_size { value: 7 }")
    with pytest.raises(ValueError, match=r"`max_batch_size` in .* must be at least 8, .*=7"):
        export_model(model, tmp_path, USER_IDS, ITEM_IDS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["batching.config"]


def test_an_export_with_hashed_user_ids_holds_none_and_scores_alike(loaded, tmp_path):
    names = [f"customer {row}@example.com" for row in range(USERS)]
    model = filled_model(SMALL_POOLING)
    hashed = export_model(model, tmp_path, names, ITEM_IDS, user_id_key=KEY)
    for name, value in content(hashed).items():
        assert b"@example.com" not in value, name
        assert KEY not in value, name
    manifest = json.loads((hashed / MANIFEST).read_text())
    assert manifest["model"]["users"] == {"known": USERS, "id_dtype": "string", "hashed": True}
    inputs = request(B=1)
    expected = call(loaded.signatures["serving_default"], inputs)
    row_of = {number: row for row, number in enumerate(USER_IDS)}
    for side in ("support", "query"):
        own = [names[row_of[number]] for number in inputs[f"{side}_user_id"][0]]
        inputs[f"{side}_user_id"] = np.array([hash_user_ids(own, KEY)])
    answer = call(tf.saved_model.load(str(hashed)).signatures["serving_default"], inputs)
    assert answer["query_known"].all()
    np.testing.assert_allclose(answer["score"], expected["score"], rtol=0, atol=1e-6)


def test_hashes_depend_on_id_and_key_and_a_short_key_is_refused(tmp_path):
    one, same, other = hash_user_ids([7, "7", 8], KEY)
    assert one == same != other
    assert hash_user_ids([7], KEY + b"!") != [one]
    assert len(one) == 32
    with pytest.raises(ValueError, match="at least 16 bytes"):
        hash_user_ids([7], b"short")
    assert hash_user_ids(np.array([7]), KEY) == [one]
    for other in (7.0, True, None, b"7", np.nan):
        with pytest.raises(ValueError, match="must be an integer or text"):
            hash_user_ids([other], KEY)
    (tmp_path / "key").write_bytes(KEY + b"\n")
    assert read_user_id_key(tmp_path / "key") == KEY
    (tmp_path / "key").write_bytes(b"short\n")
    with pytest.raises(ValueError, match=r"must hold a key of at least 16 bytes"):
        read_user_id_key(tmp_path / "key")
