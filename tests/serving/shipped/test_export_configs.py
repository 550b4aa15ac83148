"""The configuration files beside the exported versions."""

from pathlib import Path

import yaml

from cmml_tf.serving.server.loading.config_files import (
    read_batching_parameters,
    read_model_config,
    read_prometheus_path,
)

EXPORT = Path(__file__).parents[3] / "export"


def test_batching_pads_and_never_waits():
    parameters = read_batching_parameters(str(EXPORT / "batching.config"))
    assert parameters.pad_variable_length_inputs
    assert parameters.batch_timeout_micros == 0


def test_monitoring_is_on_where_the_manifest_looks_for_it():
    path = read_prometheus_path(str(EXPORT / "monitoring.config"))
    deployment = next(one for one in manifest() if one["kind"] == "Deployment")
    annotations = deployment["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == path


def test_the_model_is_the_one_the_probes_ask_for():
    (model,) = read_model_config(str(EXPORT / "models.config")).model_config_list.config
    deployment = next(one for one in manifest() if one["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["readinessProbe"]["httpGet"]["path"] == f"/v1/models/{model.name}/metadata"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts["models"] == model.base_path


def manifest():
    return list(yaml.safe_load_all((EXPORT / "kubernetes.yaml").read_text()))
