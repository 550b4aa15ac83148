"""One process of a small training, run as a program: a strategy and settings in, history out."""

import dataclasses
import json
import sys
from pathlib import Path

import tensorflow as tf
from training.small_run import build, fit, planted, validator

from cmml_tf.config import ModelConfig, TrainingConfig
from cmml_tf.training.strategies import is_served, open_strategy, serve_cluster

MODEL = ModelConfig(encoder_units=8, hyper_units=8, backbone_units=(8, 8))


def settings(**changes):
    """Few steps, in which decay and clipping make the gradients' size matter to Adam."""
    few = {"steps_per_epoch": 4, "max_epochs": 3, "learning_rate": 3e-3}
    return TrainingConfig(**{**few, "gradient_clip": 3e-3, "weight_decay": 1e-3, **changes})


def train(training, folder, strategy=None, with_support=True):
    """The history of a training; without a support set it is a twin's."""
    data = planted(meta_train=10, users_per_scenario=20, users=50, dimension=16).data
    # Larger embeddings, so that gradients are larger than rounding.
    larger = {
        "user_embeddings": 4 * data.user_embeddings,
        "item_embeddings": 4 * data.item_embeddings,
    }
    data = dataclasses.replace(data, **larger)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        model = build(MODEL, data, gradient_clip=training.gradient_clip)
    validate = validator(model, data)
    return fit(model, data, validate, training, Path(folder), with_support=with_support).history


def main(name, folder, output, changes, processors, with_support):
    """Trains with a strategy; writes the history to `output`, or ends with the error's sentence."""
    if is_served(name):
        serve_cluster()
    devices = [tf.config.LogicalDeviceConfiguration()] * processors
    if processors > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, devices)
        strategy = tf.distribute.MirroredStrategy([f"/cpu:{n}" for n in range(processors)])
    else:
        strategy = open_strategy(name)
    try:
        history = train(settings(**changes), folder, strategy, with_support)
    except ConnectionError as error:
        sys.exit(str(error))
    Path(output).write_text(json.dumps(history))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
