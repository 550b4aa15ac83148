"""By which tasks an export decides how many items of a large catalogue it keeps."""

import numpy as np
import pytest

from cmml_tf.config import override
from cmml_tf.experiments.forms import FORMS
from cmml_tf.settings.named import SETTINGS
from cmml_tf.settings.run import open_run

LOG = "planted:users=200,users_per_scenario=30,meta_train=8,meta_test=6,dimension=8"


@pytest.mark.parametrize(("share", "judged"), [(0.25, "validation"), (0.0, "meta_test")])
def test_they_are_validation_tasks_where_there_are_any(tmp_path, share, judged):
    config = FORMS["scenario"].options.base("cmml-ridge", None)
    changes = {"data": LOG, "run_dir": str(tmp_path), "split": {"validation_fraction": share}}
    run = open_run(SETTINGS["scenario"], override(config, changes), lambda line: None)
    support = run.setting.sample_tasks(run.prepared).support
    task = getattr(run.prepared, judged).episode(0).support
    assert support.length[0] == task.length[0]
    np.testing.assert_array_equal(support.item[0, : task.length[0]], task.item[0])
