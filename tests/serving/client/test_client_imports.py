import json
import subprocess
import sys


def test_the_client_brings_no_model_code():
    program = (
        "import json, sys; import cmml_tf.serving.client; "
        "print(json.dumps([m for m in sys.modules if m.startswith('cmml_tf')]))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = json.loads(finished.stdout.splitlines()[-1])
    own = ("cmml_tf.serving.client", "cmml_tf.keras_generation")
    beside = [module for module in modules if not module.startswith(own)]
    assert sorted(beside) == ["cmml_tf", "cmml_tf.serving"]
