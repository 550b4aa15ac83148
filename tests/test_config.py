"""Settings are checked on construction, and a bad one is refused by name."""

import datetime
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from cmml_tf import config
from cmml_tf.config import (
    SCHEDULES,
    EmbeddingConfig,
    EpisodeConfig,
    FactorConfig,
    ModelConfig,
    ScenarioConfig,
    ScenarioRunConfig,
    SplitConfig,
    TrainingConfig,
    override,
)
from cmml_tf.config.rating import RatingModelConfig
from cmml_tf.request_limits import RequestLimits

CLASSES = [
    value
    for value in vars(config).values()
    if isinstance(value, type) and is_dataclass(value) and value.__module__.startswith("cmml_tf.")
]

REFUSED = [
    (ModelConfig, "encoder", "lstm", "one of gru, mean, max, attention, ridge, matching, none"),
    (ModelConfig, "hybrid", "sum", "one of dot, mlp, attention, none"),
    (
        ModelConfig,
        "modulation",
        "hyper",
        "one of film, sigmoid, linear, soft, ridge, matching, none",
    ),
    (ModelConfig, "gru_state", "first", "one of last, mean"),
    (ModelConfig, "support_order", "random", "one of given, interleaved"),
    (ModelConfig, "head", "linear", "one of none, ridge"),
    (ModelConfig, "ridge_inputs", "user", "one of item, pair, hidden"),
    (ModelConfig, "hybrid_scale", 0.0, "a positive number"),
    (ModelConfig, "context_vectors", 0, "a positive integer"),
    (ModelConfig, "attention_heads", 0, "a positive integer"),
    (ModelConfig, "encoder_units", 0, "a positive integer"),
    (ModelConfig, "hyper_units", -1, "a positive integer"),
    (ModelConfig, "modules", 0, "a positive integer"),
    (ModelConfig, "backbone_units", (), "one or more positive integers"),
    (ModelConfig, "backbone_units", (64, 0), "one or more positive integers"),
    (EpisodeConfig, "support_positives", 0, "a positive integer"),
    (EpisodeConfig, "support_negatives", -1, "zero or more"),
    (EpisodeConfig, "query_positives", 0, "a positive integer"),
    (EpisodeConfig, "tasks_per_step", 0, "a positive integer"),
    (TrainingConfig, "learning_rate", 0.0, "a positive number"),
    (TrainingConfig, "learning_rate", float("nan"), "a positive number"),
    (TrainingConfig, "min_learning_rate", -1e-6, "a positive number"),
    (TrainingConfig, "weight_decay", -1e-5, "zero or more"),
    (TrainingConfig, "gradient_clip", 0.0, "a positive number or none"),
    (TrainingConfig, "steps_per_epoch", 0, "a positive integer"),
    (TrainingConfig, "max_epochs", 0, "a positive integer"),
    (TrainingConfig, "early_stopping_patience", 0, "a positive integer"),
    (TrainingConfig, "plateau_patience", 0, "a positive integer"),
    (TrainingConfig, "plateau_factor", 1.0, "between 0 and 1"),
    (ScenarioConfig, "definition", "director", "one of genre, .* or column:NAME"),
    (ScenarioConfig, "definition", "column:", "one of genre, .* or column:NAME"),
    (ScenarioConfig, "min_items", 1, "at least 2"),
    (ScenarioConfig, "max_items", 19, "at least min_items"),
    (ScenarioConfig, "min_interactions", 3, "at least 4"),
    (SplitConfig, "protocol", "cold", "one of auto, strict, warm, time"),
    (SplitConfig, "time", "tomorrow", r"a date \(ISO 8601\), seconds since 1970, or a share"),
    (SplitConfig, "time", -0.5, r"a date \(ISO 8601\), seconds since 1970, or a share"),
    (SplitConfig, "meta_test_fraction", 0.0, "between 0 and 1"),
    (SplitConfig, "validation_fraction", 1.0, "at least 0 and below 1"),
    (SplitConfig, "evaluation_user_fraction", 1.0, "between 0 and 1"),
    (SplitConfig, "background_fraction", -0.1, "at least 0 and below 1"),
    (SplitConfig, "max_support_pairs", 0, "a positive integer"),
    (EmbeddingConfig, "dimension", 0, "a positive integer"),
    (EmbeddingConfig, "iterations", 0, "a positive integer"),
    (EmbeddingConfig, "alpha", 0.0, "a positive number"),
    (EmbeddingConfig, "root_mean_square", -1.0, "a positive number"),
    (EmbeddingConfig, "regularization", -1.0, "zero or more"),
    (ScenarioRunConfig, "seed", -1, "zero or a positive integer"),
    (ScenarioRunConfig, "max_minutes", 0.0, "a positive number or none"),
]


@pytest.mark.parametrize(
    ("kind", "name", "value", "accepted"),
    REFUSED,
    ids=lambda part: part.__name__ if isinstance(part, type) else str(part)[:20],
)
def test_bad_value_is_refused_by_name(kind, name, value, accepted):
    with pytest.raises(ValueError, match=rf"^`{name}` must be {accepted}.*Received: {name}="):
        kind(**{name: value})


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_defaults_are_valid_and_frozen(kind):
    settings = kind()
    name = fields(kind)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(settings, name, getattr(settings, name))
    assert settings == kind()


def test_a_moment_is_a_date_a_number_or_a_share():
    noon = 1706702400.0
    for written in ("2024-01-31T12:00Z", "2024-01-31 14:00:00+02:00", 1706702400, "1706702400000"):
        assert SplitConfig(time=written).moment == ("seconds", noon)
    assert SplitConfig(time="0.75").moment == SplitConfig(time=0.75).moment == ("share", 0.75)
    # As YAML reads a date without quotes.
    assert SplitConfig(time=datetime.date(2024, 1, 31)) == SplitConfig(time="2024-01-31")
    assert SplitConfig().moment is None
    with pytest.raises(ValueError, match=r"`time` must be none unless protocol is time.*warm"):
        SplitConfig("warm", time=0.5)


def test_encoder_and_modulation_are_none_together():
    for changes in ({"encoder": "none"}, {"modulation": "none"}):
        with pytest.raises(ValueError, match="`encoder` and `modulation` must be none together"):
            ModelConfig(**changes)
    assert ModelConfig(encoder="none", modulation="none").encoder == "none"


RIDGE = {"encoder": "ridge", "modulation": "ridge", "hybrid": "none"}
NONE = {"encoder": "none", "modulation": "none", "hybrid": "none"}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hybrid": "attention"}, "`hybrid` may be attention only with the encoder attention"),
        ({"encoder": "ridge", "modulation": "ridge", "hybrid": "mlp"}, "`hybrid` must be none"),
        ({"context_vectors": 2}, "it counts with encoder=attention only"),
        ({"attention_heads": 2}, "it counts with encoder=attention only"),
        ({"encoder": "mean", "gru_state": "mean"}, "it counts with encoder=gru only"),
        ({"encoder": "mean", "support_order": "interleaved"}, "it counts with encoder=gru only"),
        ({**RIDGE, "encoder_units": 8}, "it counts with encoder=gru, mean, max or attention only"),
        ({**RIDGE, "hyper_units": 8}, "it counts with modulation=film, sigmoid, linear or soft"),
        ({**RIDGE, "head": "ridge"}, "modulation=film, sigmoid, linear, soft or none"),
        ({**RIDGE, "affinity": True}, "it counts with modulation=film, .* or none only"),
        ({**NONE, "positives_only": True}, "it counts with encoder=gru, .* or ridge only"),
        ({"hybrid": "mlp", "hybrid_scale": 2.0}, "it counts with hybrid=dot or attention only"),
        ({"modulation": "soft", "residual_scale": True}, "it counts with modulation=film only"),
        ({"modules": 2}, "it counts with modulation=soft only"),
        ({"ridge_inputs": "pair"}, "it counts with head=ridge only"),
        ({"ridge_features": 8}, "it counts with modulation=ridge or head=ridge only"),
        ({"ridge_tastes": 8}, "it counts with modulation=ridge only"),
        ({"dropout": 0.1}, "it counts with modulation=ridge or matching only"),
        ({"modulation": "linear", "bias_initial_value": 0.0}, "modulation=film, sigmoid or none"),
    ],
)
def test_options_that_would_do_nothing_together_are_refused(changes, sentence):
    with pytest.raises(ValueError, match=f"{sentence}.*Received: "):
        ModelConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"encoder": "attention"},
            "`network.encoder` must be one of gru, mean, max, none in the user",
        ),
        ({"affinity": True}, "`network.affinity` must be False in the user setting"),
        ({"head": "ridge"}, "`network.head` must be 'none' in the user setting"),
        ({"support_order": "interleaved"}, "`network.support_order` must be 'given' in the user"),
        ({"positives_only": True}, "`network.positives_only` must be False in the user setting"),
    ],
)
def test_the_user_setting_refuses_what_reads_binary_labels(changes, sentence):
    with pytest.raises(ValueError, match=f"{sentence}.*Received: network"):
        RatingModelConfig(network=ModelConfig(**changes))


@pytest.mark.parametrize(
    ("changes", "models"),
    [
        ({"ridge_penalty": 3.0}, "ridge"),
        ({"bias_penalty": 4.0}, "ridge"),
        ({"ridge_features": 8}, "ridge"),
        ({"factor_penalty": 1.0}, "ridge"),
        ({"kind": "ridge", "label_units": 8}, "network"),
        ({"kind": "ridge", "network": ModelConfig()}, "network"),
        ({"kind": "ridge", "folds": 3}, "ordinal"),
        ({"kind": "ordinal", "feature_dimension": 8}, "network or ridge"),
    ],
)
def test_the_user_setting_refuses_what_its_model_does_not_read(changes, models):
    with pytest.raises(ValueError, match=f"it counts with kind={models} only. Received: "):
        RatingModelConfig(**changes)


@pytest.mark.parametrize("value", [1.5, True, "8", None])
def test_a_size_is_a_whole_number(value):
    with pytest.raises(ValueError, match="`max_epochs` must be a positive integer"):
        TrainingConfig(max_epochs=value)


def test_embedding_files_are_given_together():
    with pytest.raises(ValueError, match="`user_file` and `item_file` must be given together"):
        EmbeddingConfig(user_file="users.npy")


def test_sizes_follow_from_the_pairs():
    assert EpisodeConfig(support_positives=3, support_negatives=5).support_size == 8
    assert EpisodeConfig().support_size == 192


def test_the_largest_support_that_is_asked_can_be_asked_of_an_export():
    episode, most = EpisodeConfig(), SplitConfig().max_support_pairs
    negatives = most * episode.support_negatives // episode.support_positives
    assert most + negatives <= RequestLimits().support_pairs


def test_an_unknown_loss_is_refused():
    with pytest.raises(
        ValueError, match=r"`loss` must be one of hinge, logistic, softmax\. Received: loss='bpr'"
    ):
        EpisodeConfig(loss="bpr")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"episode": EpisodeConfig(short_supports=0.5)}, "episode.short_supports"),
        ({"training": TrainingConfig(train_embeddings=True)}, "training.train_embeddings"),
        ({"model": ModelConfig()}, "episode.varied_supports"),
        (
            {"model": ModelConfig(), "episode": EpisodeConfig(), "factors": FactorConfig(8)},
            "factors",
        ),
    ],
)
def test_options_that_the_model_does_not_read_are_refused_by_name(changes, named):
    with pytest.raises(ValueError, match=f"`{named}` must be left at .*model.encoder="):
        ScenarioRunConfig(**changes)


def test_lists_of_units_become_tuples():
    assert ModelConfig(backbone_units=[8, 8]) == ModelConfig(backbone_units=(8, 8))


def test_paper_schedule():
    assert SCHEDULES["paper"].tasks_per_step == 1
    paper = SCHEDULES["paper"].training
    assert paper.weight_average == 0
    assert (paper.learning_rate, paper.weight_decay) == (1e-4, 1e-5)
    assert (paper.plateau_factor, paper.plateau_patience) == (0.2, 2)
    assert paper.min_learning_rate == 1e-6
    assert paper.gradient_clip is None
    assert not paper.train_embeddings


def test_override_replaces_nested_fields_only():
    run = ScenarioRunConfig()
    changed = override(run, {"seed": 3, "model": {"dropout": 0.1}, "max_minutes": 2.5})
    assert (changed.seed, changed.model.dropout, changed.max_minutes) == (3, 0.1, 2.5)
    assert changed.training == run.training
    assert changed.model.encoder_units == run.model.encoder_units
    assert run == ScenarioRunConfig()


def test_override_refuses_what_construction_refuses():
    run = ScenarioRunConfig()
    with pytest.raises(
        ValueError, match=r"`sed` is not an option of ScenarioRunConfig\. Accepted: .*seed"
    ):
        override(run, {"sed": 1})
    with pytest.raises(ValueError, match=r"`unit` is not an option of ModelConfig\."):
        override(run, {"model": {"unit": 1}})
    with pytest.raises(ValueError, match=r"`encoder` must be one of gru"):
        override(run, {"model": {"encoder": "lstm"}})


def test_override_with_a_value_where_settings_belong_is_refused():
    with pytest.raises(ValueError, match="`model`"):
        override(ScenarioRunConfig(), {"model": 3})
