"""Runs a version's signatures through the batcher."""

from cmml_tf.serving.server.batches.batching import Batcher
from cmml_tf.serving.server.loading.config_files import BatchingParameters
from cmml_tf.serving.server.loading.servable import Servable
from cmml_tf.serving.server.predict import Arrays, Runner


def batched_runner(parameters: BatchingParameters) -> Runner:
    """A runner that merges requests of the same version and signature."""
    batcher = Batcher(parameters)

    def run(
        servable: Servable, signature_name: str, inputs: Arrays, deadline: float | None
    ) -> Arrays:
        return batcher.run(
            (id(servable), signature_name),
            lambda merged: servable.run(signature_name, merged),
            inputs,
            deadline,
        )

    return run
