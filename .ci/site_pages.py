"""What the site has beside docs/: pages of the repository's top, and the API reference.

Hooks of MkDocs. Links between docs/ and the top of the repository are written as GitHub needs them.
"""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = {
    "README.md": "install.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
REFERENCE = {
    "program": ("api", "settings.finished_run"),
    "data": (
        *("datasets.interactions", "datasets.open_data.open_scenario_data"),
        *("datasets.tasks.scenario_data", "datasets.synthetic.planted_scenarios"),
        *("episodes.sampler", "episodes.sampled_steps"),
        *("episodes.asked.evaluation_episodes", "types"),
    ),
    "client": (
        *("client.sync", "client.aio", "client.answers", "client.clicks"),
        *("client.context_cache", "client.errors"),
    ),
    "monitoring": (
        *("client.base.Observer", "client.base.EndedCall"),
        *("monitoring.prometheus", "monitoring.drift"),
    ),
    "config": ("config",),
    "layers": ("layers",),
    "models": ("models", "experiments.forms.model_preset", "baselines.build"),
    "tasks": ("tasks",),
    "metrics": ("metrics",),
    "serving": ("serving.export", "hashed_ids"),
}
LINK = re.compile(r"\]\(([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in docs/."""
    top = Path(config.config_file_path).parent
    for name, page in TOP.items():
        files.append(File.generated(config, page, abs_src_path=str(top / name)))
    for name, modules in REFERENCE.items():
        text = "\n\n".join(f"::: cmml_tf.{module}" for module in modules)
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links that lead out of docs/, or into it, lead to the site's pages."""
    from_top = page.file.src_uri in TOP.values()

    def moved(link: re.Match[str]) -> str:
        target = link[1]
        if from_top:
            target = TOP.get(target, target.removeprefix("docs/"))
        elif target.startswith("../"):
            target = TOP.get(target.removeprefix("../"), target)
        return f"]({target}"

    return LINK.sub(moved, markdown)
