"""Messages and methods of TensorFlow Serving's gRPC interface, as far as a caller needs them.

The wire format carries numbers and no names, so the messages may have a package name of their own.
They live in a descriptor pool of their own as well: TensorFlow and tensorflow-serving-api may be
loaded in the same process. They are made as this module is imported, not by generated code, which
would tie callers to the protobuf release that generated it.
"""

import re
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "cmml_tf.client"
# Numbers and types as in tensorflow/core/framework, tensorflow/core/example,
# tensorflow/core/protobuf/meta_graph.proto and tensorflow_serving/apis. Left out are fields that
# neither are sent nor read here; enumerations are their numbers. A serialized Example is sent as it
# is: on the wire a message inside another is its bytes.
_SCHEMA = """
message Int64Value { int64 value = 1; }
message Any { string type_url = 1; bytes value = 2; }
message Dim { int64 size = 1; }
message TensorShape { repeated Dim dim = 2; bool unknown_rank = 3; }
message Tensor {
  int32 dtype = 1; TensorShape tensor_shape = 2; bytes tensor_content = 4;
  repeated float float_val = 5; repeated int32 int_val = 7; repeated bytes string_val = 8;
  repeated int64 int64_val = 10; repeated bool bool_val = 11;
}
message ModelSpec {
  string name = 1; Int64Value version = 2; string signature_name = 3; string version_label = 4;
}
message PredictRequest { ModelSpec model_spec = 1; map<string, Tensor> inputs = 2; }
message PredictResponse { map<string, Tensor> outputs = 1; ModelSpec model_spec = 2; }
message ExampleList { repeated bytes examples = 1; }
message ExampleListWithContext { repeated bytes examples = 1; bytes context = 2; }
message Input {
  ExampleList example_list = 1; ExampleListWithContext example_list_with_context = 2;
}
message RegressionRequest { ModelSpec model_spec = 1; Input input = 2; }
message Regression { float value = 1; }
message RegressionResult { repeated Regression regressions = 1; }
message RegressionResponse { RegressionResult result = 1; ModelSpec model_spec = 2; }
message TensorInfo { int32 dtype = 2; TensorShape tensor_shape = 3; }
message SignatureDef {
  map<string, TensorInfo> inputs = 1; map<string, TensorInfo> outputs = 2; string method_name = 3;
}
message SignatureDefMap { map<string, SignatureDef> signature_def = 1; }
message GetModelMetadataRequest { ModelSpec model_spec = 1; repeated string metadata_field = 2; }
message GetModelMetadataResponse { ModelSpec model_spec = 1; map<string, Any> metadata = 2; }
message GetModelStatusRequest { ModelSpec model_spec = 1; }
message Status { int32 error_code = 1; string error_message = 2; }
message ModelVersionStatus { int64 version = 1; int32 state = 2; Status status = 3; }
message GetModelStatusResponse { repeated ModelVersionStatus model_version_status = 1; }
message BytesList { repeated bytes value = 1; }
message FloatList { repeated float value = 1; }
message Int64List { repeated int64 value = 1; }
message Feature { BytesList bytes_list = 1; FloatList float_list = 2; Int64List int64_list = 3; }
message Features { map<string, Feature> feature = 1; }
message Example { Features features = 1; }
"""
_MESSAGE = re.compile(r"message (\w+) \{([^}]*)\}")
_FIELD = re.compile(r"(repeated )?(map<string, (\w+)>|\w+) (\w+) = (\d+);")
_Field = descriptor_pb2.FieldDescriptorProto


def _add_field(
    message: descriptor_pb2.DescriptorProto, kind: str, name: str, number: int, repeated: bool
) -> None:
    label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    scalar = f"TYPE_{kind.upper()}"
    if scalar in _Field.Type.keys():  # noqa: SIM118 - an enumeration, not a dictionary
        field.type = _Field.Type.Value(scalar)
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


def _described(schema: str) -> descriptor_pb2.FileDescriptorProto:
    """The file that a schema describes; a map is a repeated message of key and value."""
    file = descriptor_pb2.FileDescriptorProto(
        name="cmml_tf/client/wire.proto", package=_PACKAGE, syntax="proto3"
    )
    for title, body in _MESSAGE.findall(schema):
        message = file.message_type.add(name=title)
        for repeated, kind, value, name, number in _FIELD.findall(body):
            if value:
                entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
                entry.options.map_entry = True
                _add_field(entry, "string", "key", 1, False)
                _add_field(entry, value, "value", 2, False)
                kind = f"{title}.{entry.name}"
            _add_field(message, kind, name, int(number), bool(repeated or value))
    return file


def _classes(schema: str) -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    file = _described(schema)
    pool.AddSerializedFile(file.SerializeToString())
    # Protobuf before 4.22 has the older name only, and 5 and later the newer one.
    made = getattr(message_factory, "GetMessageClass", None)
    if made is None:
        made = message_factory.MessageFactory(pool).GetPrototype
    return {
        message.name: made(pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}"))
        for message in file.message_type
    }


_BY_NAME = _classes(_SCHEMA)

Example = _BY_NAME["Example"]
GetModelMetadataRequest = _BY_NAME["GetModelMetadataRequest"]
GetModelMetadataResponse = _BY_NAME["GetModelMetadataResponse"]
GetModelStatusRequest = _BY_NAME["GetModelStatusRequest"]
GetModelStatusResponse = _BY_NAME["GetModelStatusResponse"]
ModelSpec = _BY_NAME["ModelSpec"]
PredictRequest = _BY_NAME["PredictRequest"]
PredictResponse = _BY_NAME["PredictResponse"]
RegressionRequest = _BY_NAME["RegressionRequest"]
RegressionResponse = _BY_NAME["RegressionResponse"]
SignatureDef = _BY_NAME["SignatureDef"]
SignatureDefMap = _BY_NAME["SignatureDefMap"]
Tensor = _BY_NAME["Tensor"]

# Of tensorflow.DataType and of ModelVersionStatus.State.
DT_FLOAT, DT_INT32, DT_STRING, DT_INT64, DT_BOOL = 1, 3, 7, 9, 10
AVAILABLE = 30


class Method(NamedTuple):
    """One method of the interface: its path, and the classes of its messages."""

    path: str
    request: Any
    response: Any


METHODS = {
    "Predict": Method(
        "/tensorflow.serving.PredictionService/Predict", PredictRequest, PredictResponse
    ),
    "Regress": Method(
        "/tensorflow.serving.PredictionService/Regress", RegressionRequest, RegressionResponse
    ),
    "GetModelMetadata": Method(
        "/tensorflow.serving.PredictionService/GetModelMetadata",
        GetModelMetadataRequest,
        GetModelMetadataResponse,
    ),
    "GetModelStatus": Method(
        "/tensorflow.serving.ModelService/GetModelStatus",
        GetModelStatusRequest,
        GetModelStatusResponse,
    ),
}
