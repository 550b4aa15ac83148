"""The configuration files beside the exported versions."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
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


def test_the_nightly_job_writes_what_the_servers_read():
    (job,) = (one for one in documents("nightly.yaml") if one["kind"] == "CronJob")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    claims = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["volumes"]
        if "persistentVolumeClaim" in volume
    }
    mounts = {claims.get(m["name"]): m["mountPath"] for m in container["volumeMounts"]}
    base = container["args"][-1]
    assert mounts["cmml-models"] == base
    deployment = next(one for one in manifest() if one["kind"] == "Deployment")
    (server,) = deployment["spec"]["template"]["spec"]["containers"]
    assert f"--model_base_path={base}" in server["args"]
    assert {one["metadata"]["name"] for one in manifest()} >= {"cmml-models"}


@pytest.mark.slow
def test_the_nightly_job_promotes_once_and_is_refused_with_status_3(tmp_path):
    (tmp_path / "cmml").write_text(
        f"#!/bin/sh\nexec {sys.executable} -c "
        "'from cmml_tf.commands.main import main; main()' \"$@\"\n"
    )
    (tmp_path / "cmml").chmod(0o755)
    log = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=6,dimension=8"
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment["PYTHONPATH"] = str(EXPORT.parent)

    def night(runs, *options):
        steps = ("--training.steps-per-epoch", "2", "--training.max-epochs", "1")
        done = subprocess.run(
            [EXPORT / "nightly.sh", log, log, "models", *steps, *options],
            cwd=tmp_path,
            env={**environment, "RUNS": runs},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr.splitlines()[-1:]

    assert night("first")[0] == 0
    assert [path.name for path in (tmp_path / "models").glob("[0-9]*")] == ["1"]
    status, (sentence,) = night("second", "--preset", "cmml-ridge")
    assert status == 3
    assert sentence.startswith("error: Not promoted: models/candidates/1 is worse than models/1")
    assert [path.name for path in (tmp_path / "models").glob("[0-9]*")] == ["1"]
    (record,) = (tmp_path / "second").glob("*/promotion.json")
    assert json.loads(record.read_text())["refusals"]


def manifest():
    return documents("kubernetes.yaml")


def documents(name):
    return list(yaml.safe_load_all((EXPORT / name).read_text()))
