import os

import pytest

from cmml_tf.serving.server.engine import real_server_arguments, run
from cmml_tf.serving.server.flags import parse_flags

BASE = "--model_base_path=models"


def test_flags_are_written_as_for_tensorflow_model_server():
    flags = parse_flags([BASE, "--model_name=cmml", "--port=1", "--rest_api_port", "2"])
    assert (flags.model_base_path, flags.model_name) == ("models", "cmml")
    assert (flags.port, flags.rest_api_port) == (1, 2)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("--enable_batching", True),
        ("--enable_batching=true", True),
        ("--enable_batching=false", False),
    ],
)
def test_booleans_stand_alone_or_with_a_value(text, value):
    assert parse_flags([BASE, text]).enable_batching is value


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "model_base_path"),
        ([BASE, "--model_config_file=x"], "model_config_file"),
        ([BASE, "--no_such_flag=1"], "no_such_flag"),
        ([BASE, "--port=http"], "port"),
        ([BASE, "--port=99999"], "--port must be a port, 0 to 65535"),
        ([BASE, "--rest_api_port=-1"], "--rest_api_port must be a port"),
        ([BASE, "--port=0", "--rest_api_port=1"], "listen"),
        ([BASE, "--grpc_max_threads=0"], "grpc_max_threads"),
        (
            [
                BASE,
                *(f"--tensorflow_{k}_parallelism=1" for k in ("session", "intra_op", "inter_op")),
            ],
            "tensorflow_session_parallelism",
        ),
        ([BASE, "--port=5", "--rest_api_port=5"], "must differ"),
        ([BASE, "--batching_parameters_file=x"], "enable_batching"),
        ([BASE, "--enable_batching=perhaps"], "true or false"),
        ([BASE, "--engine=rust"], "engine"),
    ],
)
def test_wrong_flags_end_with_a_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit):
        parse_flags(arguments)
    assert sentence in capsys.readouterr().err


def test_the_largest_message_is_a_channel_argument():
    argument = "--grpc_channel_arguments=grpc.max_receive_message_length=1000,grpc.keepalive=x"
    flags = parse_flags([BASE, argument])
    assert flags.max_message_bytes == 1000
    assert flags.channel_arguments[1] == ("grpc.keepalive", "x")
    assert parse_flags([BASE]).max_message_bytes == 2**31 - 1


def test_defaults_that_differ_would_pass_here_and_fail_in_production():
    flags = parse_flags([BASE])
    assert flags.grpc_max_threads == 4 * os.cpu_count()
    assert not flags.enable_grpc_healthcheck_service
    assert not flags.allow_version_labels_for_unavailable_models


def test_nobody_else_is_listened_to_unless_asked():
    assert (parse_flags([BASE]).host, parse_flags([BASE]).allow_reload) == ("127.0.0.1", False)
    flags = parse_flags([BASE, "--host=0.0.0.0", "--allow_reload"])
    assert (flags.host, flags.allow_reload) == ("0.0.0.0", True)


def test_the_real_server_gets_every_flag_but_those_it_does_not_know():
    own = ["--engine=auto", "--engine", "auto", "--host", "::1", "--host=::1"]
    own += ["--allow_reload", "true", "--allow_reload=false", "--allow_reload"]
    assert real_server_arguments([BASE, *own, "--port=1"]) == [BASE, "--port=1"]


def test_asking_for_the_real_server_where_it_is_missing_says_so(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    before = dict(os.environ)
    assert run([BASE, "--engine=tensorflow_model_server"]) == 2
    assert dict(os.environ) == before  # what this process starts later is not told anything
    assert "not on the PATH" in capsys.readouterr().err
