"""The end of a run: what was found is written first, then the model is exported."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cmml_tf.files import check_folder, write_whole
from cmml_tf.serving.exported import Exported
from cmml_tf.serving.version.version_folder import CANDIDATES
from cmml_tf.settings.form import SettingForm
from cmml_tf.training.run_folder import METRICS, read_metrics

# Of the process that wrote the file, not of the model; and what is too long for a manifest.
_LEFT_OUT = ("export", "export_cost", "seconds", "curve", "parts", "lists", "controls_interval")


def warn_of_export(export_dir: Path, say: Callable[[str], None]) -> None:
    """Says before a training that its export will fail, where that can be seen already."""
    try:
        check_folder(export_dir)
    except OSError as error:
        say(f"warning: the model will not be exported: {error}")


def save_metrics(run_dir: Path, metrics: dict[str, Any]) -> Path:
    """Writes `metrics.json`, which makes the run complete."""
    file = run_dir / METRICS
    write_whole(file, json.dumps(metrics, indent=2))
    return file


def export_finished(run_dir: Path, export: Callable[[dict[str, Any]], Exported]) -> Exported:
    """Exports the model of a complete run and notes the version in its `metrics.json`.

    Args:
      run_dir: Holds `metrics.json`.
      export: Called with the metrics, what no manifest needs left out.

    Raises:
      ValueError, OSError: There is no export; the message says how to repeat it.
    """
    metrics = read_metrics(run_dir)
    try:
        exported = export(manifest_facts(metrics))
    except (ValueError, OSError) as error:
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"{error} The run in {run_dir} is complete all the same: `cmml export {run_dir}` "
            "exports it without training (--export-dir DIR: to another place)."
        ) from error
    save_metrics(run_dir, metrics | {"export": str(exported.version)})
    return exported


def write_report(run_dir: Path, form: SettingForm, say: Callable[[str], None]) -> None:
    """Writes `report.html`, or says why there is none: a finished run is none the less finished."""
    try:
        from cmml_tf.reports.run_page import write_run_report

        say(f"Report: {write_run_report(run_dir, form)}")
    except (ValueError, OSError, ImportError) as error:
        say(f"warning: there is no report: {error}")


def warning(metrics: dict[str, Any]) -> list[str]:
    """A line that says what is wrong with a model, where something is; else none."""
    verdict = metrics["verdict"]
    if not verdict["at_chance"] and not verdict["below"]:
        return []
    return [f"warning: {verdict['sentence']}"]


def manifest_facts(metrics: dict[str, Any]) -> dict[str, Any]:
    """What a manifest says of a model, out of its metrics."""
    return {name: value for name, value in metrics.items() if name not in _LEFT_OUT}


def described(exported: Exported) -> str:
    """The line that says where the version is."""
    state = "Exported" if exported.is_new else "Exported before, nothing written"
    return f"{state}: {exported.version}"


def what_next(exported: Exported, data: str) -> str:
    """Commands for the shell: what makes a candidate the served version, and what serves it.

    Args:
      exported: What the run has made.
      data: What it was trained on: scenarios and users that were held out are asked.
    """
    version = exported.version
    is_candidate = version.parent.name == CANDIDATES
    base = version.parent.parent if is_candidate else version.parent
    promote = f"  cmml promote {shlex.quote(str(version))} --on {shlex.quote(data)}\n"
    served = shlex.quote(str(base.resolve()))
    return (
        f"Next:\n{promote if is_candidate else ''}"
        f"  cmml serve --model_name=cmml --model_base_path={served} --port=8500"
    )
