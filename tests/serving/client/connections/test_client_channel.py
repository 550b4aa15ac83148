import json

import pytest

from cmml_tf.client import Client
from cmml_tf.client.transport.channel import channel_options, service_config


def test_only_unavailable_is_retried():
    (method,) = json.loads(service_config(4))["methodConfig"]
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert method["retryPolicy"]["maxAttempts"] == 4
    assert "retryPolicy" not in json.loads(service_config(1))["methodConfig"][0]


def test_the_caller_s_options_win():
    options = dict(channel_options(4, [("grpc.max_send_message_length", 5), ("grpc.x", 1)]))
    assert options["grpc.max_send_message_length"] == 5
    assert options["grpc.x"] == 1


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match="`max_attempts` must be between 1 and 5"):
        Client("localhost:1", "cmml", max_attempts=6)
    with pytest.raises(ValueError, match="exclude each other"):
        Client("localhost:1", "cmml", version=1, label="stable")
