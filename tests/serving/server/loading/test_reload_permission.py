"""Who may change what a server serves."""

import socket
from concurrent import futures

import grpc
import pytest
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from cmml_tf.serving.server.grpc_services import ModelService, is_this_machine
from cmml_tf.serving.server.loading.model_manager import ModelManager
from cmml_tf.serving.server.monitoring import Metrics

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("peer", "local"),
    [
        ("ipv4:127.0.0.1:5", True),
        ("ipv6:[::1]:5", True),
        ("ipv6:%5B::1%5D:5", True),
        ("ipv6:[::ffff:127.0.0.1]:5", True),
        ("unix:", True),
        ("ipv4:10.0.0.1:5", False),
        ("ipv4:12.7.0.1:5", False),
        ("ipv6:[::1:2]:5", False),
        ("ipv6:[::ffff:10.0.0.1]:5", False),
        ("", False),
    ],
)
def test_callers_of_this_machine_are_told_from_others(peer, local):
    assert is_this_machine(peer) is local


def own_address():
    """An address of this machine that is not 127.0.0.1; that one, where there is no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


@pytest.mark.parametrize("anywhere", [True, False])
def test_a_reload_is_taken_from_this_machine_unless_allowed_from_anywhere(anywhere):
    server = grpc.server(futures.ThreadPoolExecutor(1))
    service = ModelService(
        ModelManager(lambda *_: None), Metrics(), lambda: None, reload_from_anywhere=anywhere
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    port = server.add_insecure_port("0.0.0.0:0")
    server.start()
    codes = {}
    for address in ("127.0.0.1", own_address()):
        with grpc.insecure_channel(f"{address}:{port}") as channel:
            stub = model_service_pb2_grpc.ModelServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.HandleReloadConfigRequest(
                    model_management_pb2.ReloadConfigRequest(), timeout=9
                )
            codes[address] = caught.value.code()
    server.stop(None)
    taken = Code.INVALID_ARGUMENT  # the configuration is empty
    for address, code in codes.items():
        assert code == (taken if anywhere or address == "127.0.0.1" else Code.PERMISSION_DENIED)
