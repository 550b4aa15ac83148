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
