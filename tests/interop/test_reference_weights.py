"""Reference weights: recognised, turned into our orientation, or refused with the array's name."""

import re
from pathlib import Path

import numpy as np
import pytest
from reference import numpy_reference as reference

from cmml_tf.interop.reference_weights import read_reference_weights

GOLDEN = Path(__file__).resolve().parents[3] / "shared" / "golden"
SKIPPED = [pytest.param(None, marks=pytest.mark.skip(reason="../shared is not here"))]
SCENARIO_FILES = sorted(GOLDEN.glob("scenario_*.npz")) or SKIPPED
USER_FILES = sorted(GOLDEN.glob("user_*.npz")) or SKIPPED
D, H, h = 6, 5, 4  # pair embedding, encoder, hyper-network


def name_of(path):
    return path.stem if path else "absent"


def synthetic(modulation="film", encoder="gru", hybrid="dot"):
    """A small state dict with the reference implementation's names, user 2 + item 4 wide."""
    shapes = {}

    def linear(name, inputs, units):
        shapes[f"state/{name}.weight"], shapes[f"state/{name}.bias"] = (units, inputs), (units,)

    if encoder == "gru":
        shapes["state/context_encoder.gru.weight_ih_l0"] = (3 * H, D + 2)
        shapes["state/context_encoder.gru.weight_hh_l0"] = (3 * H, H)
        shapes["state/context_encoder.gru.bias_ih_l0"] = (3 * H,)
        shapes["state/context_encoder.gru.bias_hh_l0"] = (3 * H,)
        linear("context_encoder.mlp.0", H, H)
        linear("context_encoder.mlp.2", H, D)
    else:
        linear("context_encoder.mlp.0", D + 2, H)
        linear("context_encoder.mlp.2", H, H)
        linear("context_encoder.mlp.4", H, D)
    first = 2 * D if hybrid == "mlp" else D
    if modulation == "linear":
        for layer, (inputs, units) in enumerate([(first, h), (h, h), (h, 4)]):
            linear(f"hypernet.{2 * layer}", inputs, units)
        for layer, (inputs, units) in enumerate([(D, 7), (7, 8), (8, 3)]):
            linear(f"mlp.{2 * layer}", inputs, units)
    elif modulation == "soft":
        for layer, (inputs, units, routes) in enumerate([(D, 7, 4), (7, 8, 4), (8, 3, 2)], 1):
            linear(f"hypernet.fc{layer}", first if layer == 1 else h, h)
            linear(f"hypernet.fc{layer}2", h, routes)
            for module in range(2):
                linear(f"mlp.fc{layer}.{module}", inputs, units)
        linear("mlp.final_layer", 3, 1)
    else:
        for layer, (inputs, units) in enumerate([(D, 7), (7, 8), (8, 3)], 1):
            linear(f"hypernet.f{layer}", first if layer == 1 else h, h)
            linear(f"hypernet.f{layer}1", h, units * (2 if modulation == "film" else 1))
            linear(f"mlp.f{layer}", inputs, units)
        linear("final_layer", 3, 1)
    generator = np.random.default_rng(0)
    arrays = {name: generator.normal(size=shape).astype("f") for name, shape in shapes.items()}
    for name, shape in (("in/user_embeddings", (4, 2)), ("in/item_embeddings", (9, 4))):
        arrays[name] = generator.normal(size=shape).astype("f")
        arrays[name][-1] = 0
    return arrays


def saved(folder, arrays, name="weights.npz"):
    np.savez(folder / name, **arrays)
    return folder / name


@pytest.mark.parametrize("path", SCENARIO_FILES, ids=name_of)
def test_weights_of_the_reference_implementation_give_its_scores(path, tmp_path):
    with np.load(path) as archive:
        golden = {name: archive[name] for name in archive.files}
    read = read_reference_weights(path)
    config, weights = read.config, read.weights
    tables = read.user_embeddings, read.item_embeddings

    modulation, hybrid, encoder = re.match(r"scenario_(\w+)_(\w+)_(\w+)_seed", path.stem).groups()
    assert config.modulation == {"softm": "soft"}.get(modulation, modulation)
    assert config.hybrid == {"no": "none"}.get(hybrid, hybrid)
    assert (config.encoder, config.positives_only) == (encoder, encoder == "mean")
    assert read.note is None

    users = np.concatenate([golden["in/support_pos_users"], golden["in/support_neg_users"]])
    items = np.concatenate([golden["in/support_pos_items"], golden["in/support_neg_items"]])
    label = np.arange(len(users)) < len(golden["in/support_pos_users"])
    support = reference.pair_embedding(*tables, users, items)
    query = reference.pair_embedding(*tables, golden["in/query_users"], golden["in/query_items"])
    valid = np.ones(len(label), bool)
    context = reference.scenario_context(
        support, label, valid, weights, config.encoder, config.positives_only
    )
    scores = reference.query_scores(query, context, weights, config.modulation, config.hybrid)
    np.testing.assert_allclose(scores, golden["out/scores"], atol=1e-5)

    # The same without any recorded result: only `dot` and `none` look alike.
    bare = {name: golden[name] for name in golden if name.startswith(("state/", "in/"))}
    again = read_reference_weights(saved(tmp_path, bare, path.name))
    assert again.config == config
    assert (again.note is None) == (hybrid == "mlp")


@pytest.mark.parametrize("path", USER_FILES, ids=name_of)
def test_models_of_the_user_setting_are_refused(path):
    with pytest.raises(ValueError, match=r"user setting.*cannot be imported"):
        read_reference_weights(path)


@pytest.mark.parametrize("hybrid", ["dot", "mlp", "none"])
@pytest.mark.parametrize("encoder", ["gru", "mean"])
@pytest.mark.parametrize("modulation", ["film", "sigmoid", "linear", "soft"])
def test_variant_and_sizes_are_read_off_names_and_shapes(tmp_path, modulation, encoder, hybrid):
    path = saved(tmp_path, synthetic(modulation, encoder, hybrid))
    config = read_reference_weights(path, hybrid=hybrid).config
    assert (config.modulation, config.encoder, config.hybrid) == (modulation, encoder, hybrid)
    assert (config.encoder_units, config.hyper_units) == (H, h)
    assert config.backbone_units == (7, 8, 3)
    assert config.positives_only == (encoder == "mean")
    assert config.modules == (2 if modulation == "soft" else 4)


def test_dense_kernels_are_inputs_by_units(tmp_path):
    arrays = synthetic("film")
    weights = read_reference_weights(saved(tmp_path, arrays)).weights
    expected = {
        "context_encoder/mlp/1": "context_encoder.mlp.2",
        "modulation/hyper/0": "hypernet.f1",
        "modulation/head/2": "hypernet.f31",
        "backbone/hidden/1": "mlp.f2",
        "backbone/output": "final_layer",
    }
    for ours, theirs in expected.items():
        np.testing.assert_array_equal(weights[f"{ours}/kernel"], arrays[f"state/{theirs}.weight"].T)
        np.testing.assert_array_equal(weights[f"{ours}/bias"], arrays[f"state/{theirs}.bias"])


def test_gru_gates_are_put_in_keras_order(tmp_path):
    arrays = synthetic()
    weights = read_reference_weights(saved(tmp_path, arrays)).weights
    reset, update, new = np.split(arrays["state/context_encoder.gru.weight_ih_l0"], 3)
    kernel = weights["context_encoder/gru/kernel"]
    np.testing.assert_array_equal(kernel, np.concatenate([update, reset, new]).T)
    assert weights["context_encoder/gru/recurrent_kernel"].shape == (H, 3 * H)
    bias = weights["context_encoder/gru/bias"]
    assert bias.shape == (2, 3 * H)
    np.testing.assert_array_equal(
        bias[1, :H], arrays["state/context_encoder.gru.bias_hh_l0"][H : 2 * H]
    )


def test_soft_modules_are_stacked(tmp_path):
    arrays = synthetic("soft")
    weights = read_reference_weights(saved(tmp_path, arrays)).weights
    assert weights["backbone/hidden/1/kernel"].shape == (2, 7, 8)
    assert weights["backbone/hidden/1/bias"].shape == (2, 8)
    np.testing.assert_array_equal(
        weights["backbone/hidden/1/kernel"][1], arrays["state/mlp.fc2.1.weight"].T
    )
    assert weights["modulation/head/0/kernel"].shape == (h, 4)


def test_linear_modulation_has_no_output_layer(tmp_path):
    weights = read_reference_weights(saved(tmp_path, synthetic("linear"))).weights
    dense = {name.rpartition("/")[0] for name in weights if not name.startswith("context_encoder")}
    assert dense == {
        f"{part}/{i}" for part in ("modulation/hyper", "backbone/hidden") for i in range(3)
    }


@pytest.mark.parametrize(
    ("file_name", "hybrid", "expected", "has_note"),
    [
        ("model_no_gru.npz", None, "none", True),
        ("model_dot_gru.npz", None, "dot", True),
        ("nothing.npz", None, "dot", True),
        ("model_no_gru.npz", "dot", "dot", False),
        ("nothing.npz", "none", "none", False),
    ],
)
def test_hybrid_dot_and_none_look_alike(tmp_path, file_name, hybrid, expected, has_note):
    read = read_reference_weights(saved(tmp_path, synthetic("linear"), file_name), hybrid=hybrid)
    assert read.config.hybrid == expected
    assert (read.note is not None) == has_note


def test_recorded_input_of_the_hyper_network_settles_the_hybrid(tmp_path):
    arrays = synthetic("linear")
    arrays["out/hypernet_input"] = np.ones((3, D), "f")
    read = read_reference_weights(saved(tmp_path, arrays, "model_dot_gru.npz"))
    assert (read.config.hybrid, read.note) == ("none", None)


@pytest.mark.parametrize("wrong", ["dot", "none"])
def test_hybrid_that_contradicts_the_shapes_is_refused(tmp_path, wrong):
    path = saved(tmp_path, synthetic(hybrid="mlp"))
    with pytest.raises(ValueError, match=rf"`hybrid` must be mlp.*f1.*hybrid='{wrong}'"):
        read_reference_weights(path, hybrid=wrong)
    with pytest.raises(ValueError, match="`hybrid` must be one of dot, mlp, none"):
        read_reference_weights(path, hybrid="no")


def test_a_whole_state_dict_may_repeat_the_tables(tmp_path):
    arrays = synthetic()
    repeated = "state/context_encoder.useritem_embeds.item_embeds.weight"
    arrays[repeated] = arrays["in/item_embeddings"]
    weights = read_reference_weights(saved(tmp_path, arrays)).weights
    assert weights.keys() == read_reference_weights(saved(tmp_path, synthetic())).weights.keys()
    arrays[repeated] = arrays[repeated] + 1
    with pytest.raises(ValueError, match=f"`{repeated}` must be absent or equal"):
        read_reference_weights(saved(tmp_path, arrays))


@pytest.mark.parametrize("modulation", ["film", "sigmoid", "linear", "soft"])
@pytest.mark.parametrize("encoder", ["gru", "mean"])
def test_each_missing_or_misshapen_array_is_refused(tmp_path, modulation, encoder):
    arrays = synthetic(modulation, encoder)
    for name in arrays:
        rest = {other: array for other, array in arrays.items() if other != name}
        with pytest.raises(ValueError, match="Accepted"):
            read_reference_weights(saved(tmp_path, rest))
        wider = np.concatenate([arrays[name], arrays[name][:1]])
        if not name.startswith("in/"):  # one more user or item is no fault
            with pytest.raises(ValueError, match="Received"):
                read_reference_weights(saved(tmp_path, rest | {name: wider}))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("state/mlp.f2.weight", None, r"`state/mlp\.f2\.weight` is missing"),
        ("in/item_embeddings", None, r"`in/item_embeddings` is missing"),
        ("state/hypernet.f2.bias", np.ones(9, "f"), r"f2\.bias` must have shape \(4,\).*\(9,\)"),
        ("state/hypernet.f11.weight", np.ones((9, h), "f"), r"\(14, 4\) \(FiLM\) or \(7, 4\)"),
        ("state/hypernet.f1.weight", np.ones((h, 9), "f"), r"\(4, 6\).*or \(4, 12\) \(mlp\)"),
        ("state/mlp.f4.weight", np.ones((2, 2), "f"), r"`state/mlp\.f4\.weight` is not part of"),
        ("mlp.f1.weight", np.ones((7, D), "f"), "`mlp.f1.weight` is not a name of the layout"),
        ("state/final_layer.bias", np.array([np.nan], "f"), "final_layer.bias` must be finite"),
        ("state/final_layer.bias", np.array([1e300]), "final_layer.bias` must be finite"),
        ("state/final_layer.bias", np.array([1]), "final_layer.bias` must hold floats.*int64"),
        ("state/final_layer.bias", np.array([{}]), "final_layer.bias` is pickled or damaged"),
        ("in/user_embeddings", np.ones((4, 2), "f"), "last row is zeros"),
        ("in/user_embeddings", np.zeros(4, "f"), r"must be a table .*shape \(4,\)"),
    ],
)
def test_the_faulty_array_is_named(tmp_path, name, array, message):
    arrays = synthetic("film")
    arrays.pop(name, None)
    if array is not None:
        arrays[name] = array
    with pytest.raises(ValueError, match=message):
        read_reference_weights(saved(tmp_path, arrays))


def test_a_state_dict_of_something_else_is_refused(tmp_path):
    arrays = {name: array for name, array in synthetic().items() if name.startswith("in/")}
    with pytest.raises(ValueError, match=r"backbone of a CMML model.*no state/ array"):
        read_reference_weights(saved(tmp_path, arrays))
    arrays["state/user_item_embed.item_emb.embedding_rate.weight"] = np.ones((6, 3), "f")
    with pytest.raises(ValueError, match="user setting"):
        read_reference_weights(saved(tmp_path, arrays))


def test_files_that_are_not_npz_are_refused(tmp_path):
    whole = saved(tmp_path, synthetic()).read_bytes()
    single = tmp_path / "single.npy"
    np.save(single, np.ones(3))
    contents = {
        "text.npz": b"no archive",
        "empty.npz": b"",
        "pickle.npz": b"\x80\x04]\x94.",
        "cut.npz": whole[: len(whole) // 2],
        "single.npz": single.read_bytes(),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=r"npz.*Accepted: an \.npz file of plain arrays"):
            read_reference_weights(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no weights or array file '.*absent\.npz'"):
        read_reference_weights(tmp_path / "absent.npz")


def test_a_damaged_array_is_named(tmp_path):
    path = saved(tmp_path, synthetic())
    content = bytearray(path.read_bytes())
    place = content.index(b"state/mlp.f2.weight.npy") + 300
    content[place] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`state/mlp\.f2\.weight` is pickled or damaged"):
        read_reference_weights(path)


def test_an_encrypted_member_is_named(tmp_path):
    path = saved(tmp_path, synthetic())
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"state/mlp.f2.weight.npy") - 46  # its entry in the zip directory
    for flags in (directory + 8, content.index(b"state/mlp.f2.weight.npy") - 30 + 6):
        content[flags] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"`state/mlp\.f2\.weight` is pickled or damaged"):
        read_reference_weights(path)
