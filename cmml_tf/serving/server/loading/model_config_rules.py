"""What TensorFlow Serving refuses in a list of models, whoever sends it."""

import os
from typing import TypeAlias

from tensorflow_serving.config import model_server_config_pb2

from cmml_tf.serving.server.status import invalid_argument

ModelConfig: TypeAlias = model_server_config_pb2.ModelConfig
_PLATFORM = "tensorflow"


def checked_models(config: model_server_config_pb2.ModelServerConfig) -> list[ModelConfig]:
    """The models that a configuration lists.

    Raises:
      ServingError: INVALID_ARGUMENT, naming the model, for another kind of configuration, a model
        that is nameless or listed twice, a base path that is not absolute, and a platform that is
        missing or other than `tensorflow`.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    configs = list(config.model_config_list.config)
    names = [one.name for one in configs]
    for position, one in enumerate(configs):
        if not one.name:
            raise invalid_argument(f"Every model needs a name; model {position} has none.")
        if one.name in names[:position]:
            raise invalid_argument(f"Illegal to list model {one.name} multiple times.")
        if not os.path.isabs(one.base_path):
            raise invalid_argument(
                f"Expected model {one.name} to have an absolute path or URI; got "
                f"base_path()={one.base_path}"
            )
        _check_platform(one)
    return configs


def _check_platform(config: ModelConfig) -> None:
    if config.model_type == model_server_config_pb2.TENSORFLOW and not config.model_platform:
        return
    if config.model_type != model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        raise invalid_argument(
            f"Model {config.name} must have a model_platform and no model_type (deprecated)."
        )
    if not config.model_platform:
        raise invalid_argument(f"Model {config.name} has no model_platform; use {_PLATFORM}.")
    if config.model_platform != _PLATFORM:
        raise invalid_argument(
            f"Model {config.name} requests unsupported platform {config.model_platform}"
        )
