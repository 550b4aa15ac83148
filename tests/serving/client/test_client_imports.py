import json
import subprocess
import sys


def test_the_client_brings_nothing_of_the_rest():
    program = (
        "import json, sys; import cmml_tf.client; "
        "print(json.dumps([m for m in sys.modules if not m.startswith('cmml_tf.client')]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = json.loads(finished.stdout.splitlines()[-1])
    own = [module for module in modules if module.startswith("cmml_tf")]
    assert sorted(own) == ["cmml_tf", "cmml_tf.installation"]
    parts = {module.partition(".")[0] for module in modules}
    assert not parts & {"tensorflow", "tensorflow_serving", "tf_keras", "keras", "pandas"}


BOTH = """
import sys
from cmml_tf.client import Client, wire
import grpc, tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
address, task = sys.argv[1], (["u1"], ["i1"], [1.0], ["u7"], ["i8"])
with Client(address, "cmml", timeout=20) as client:
    own = client.score(*task)
names = ("support_user_id", "support_item_id", "support_label", "query_user_id", "query_item_id")
request = predict_pb2.PredictRequest()
request.model_spec.name = "cmml"
request.inputs["support_length"].CopyFrom(tf.make_tensor_proto([1]))
for name, value in zip(names, task):
    request.inputs[name].CopyFrom(tf.make_tensor_proto([value]))
with grpc.insecure_channel(address) as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    theirs = stub.Predict(request, timeout=20)
print(float(own.score[0]) == float(tf.make_ndarray(theirs.outputs["score"])[0, 0]))
again = wire.PredictRequest.FromString(request.SerializeToString())
print(predict_pb2.PredictRequest.FromString(again.SerializeToString()) == request)
"""


def test_it_stands_beside_tensorflow_and_tensorflow_serving_api(contract_server):
    """Their messages have the same numbers. All other tests of calls load them before it."""
    done = subprocess.run(
        [sys.executable, "-c", BOTH, contract_server.address],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "True"]
