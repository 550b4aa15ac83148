import pytest

from cmml_tf.serving.server.loading.config_files import (
    BatchingParameters,
    read_batching_parameters,
    read_model_config,
    read_prometheus_path,
    read_ssl_config,
)


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "file").write_text(text)
        return str(tmp_path / "file")

    return write


def test_batching_parameters_are_tensorflow_serving_s_text_proto(write):
    path = write(
        """max_batch_size { value: 8 }  # rows
        batch_timeout_micros { value: 0 }
        max_enqueued_batches { value: 3 }
        num_batch_threads { value: 2 }
        allowed_batch_sizes: 4 allowed_batch_sizes: 8
        pad_variable_length_inputs: true
        enable_large_batch_splitting { value: true }
        max_execution_batch_size { value: 4 }"""
    )
    assert read_batching_parameters(path) == BatchingParameters(
        max_batch_size=8,
        max_enqueued_batches=3,
        num_batch_threads=2,
        allowed_batch_sizes=(4, 8),
        pad_variable_length_inputs=True,
        enable_large_batch_splitting=True,
        max_execution_batch_size=4,
    )


def test_fields_left_out_keep_their_defaults(write):
    assert read_batching_parameters(write("")) == BatchingParameters()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("max_batch_size { value: 0 }", "max_batch_size"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros"),
        ("allowed_batch_sizes: 4", "allowed_batch_sizes"),
        (
            "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 1001 }",
            "max_execution_batch_size",
        ),
        ("max_batch_sise { value: 4 }", "max_batch_sise"),
        ("max_batch_size: 4", "readable text proto"),
    ],
)
def test_a_wrong_field_is_named(write, text, name):
    with pytest.raises(ValueError, match=name):
        read_batching_parameters(write(text))


def test_a_missing_file_is_named():
    with pytest.raises(ValueError, match="no_such_file"):
        read_model_config("no_such_file")


def test_monitoring_is_off_unless_enabled(write):
    assert read_prometheus_path(write("")) is None
    assert read_prometheus_path(write("prometheus_config { enable: true }")) == (
        "/monitoring/prometheus/metrics"
    )
    enabled = 'prometheus_config { enable: true path: "/metrics" }'
    assert read_prometheus_path(write(enabled)) == "/metrics"


def test_tls_needs_a_key_and_a_certificate(write):
    with pytest.raises(ValueError, match="server_key"):
        read_ssl_config(write('server_cert: "x"'))
    config = read_ssl_config(write('server_key: "k" server_cert: "c" client_verify: true'))
    assert (config.server_key, config.server_cert, config.client_verify) == ("k", "c", True)


def test_a_model_config_lists_models(write):
    with pytest.raises(ValueError, match="model_config_list"):
        read_model_config(write(""))
    config = read_model_config(write('model_config_list { config { name: "m" base_path: "/p" } }'))
    assert config.model_config_list.config[0].name == "m"
