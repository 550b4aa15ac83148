"""Which versions of a model should be loaded, from its folder and its configuration."""

import os

from tensorflow_serving.config import model_server_config_pb2


def versions_on_disk(base_path: str) -> dict[int, str]:
    """Folders named by a number, as version -> path; everything else is ignored.

    Raises:
      OSError: The base path cannot be listed.
    """
    with os.scandir(base_path) as entries:
        return {
            int(entry.name): entry.path
            for entry in entries
            if entry.name.isascii() and entry.name.isdigit() and entry.is_dir()
        }


def aspired_versions(
    on_disk: dict[int, str], config: model_server_config_pb2.ModelConfig
) -> dict[int, str]:
    """The versions the policy asks for: the latest one unless configured otherwise."""
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(on_disk)
    if kind == "specific":
        wanted = set(policy.specific.versions)
        return {version: path for version, path in on_disk.items() if version in wanted}
    count = policy.latest.num_versions or 1
    return {version: on_disk[version] for version in sorted(on_disk)[-count:]}


def fingerprint(path: str) -> tuple[tuple[str, int, int], ...]:
    """Names, sizes and times of all files of a version: changes while it is being copied."""
    found = []
    for folder, _, files in os.walk(path):
        for name in files:
            file = os.path.join(folder, name)
            try:
                status = os.stat(file)
            except FileNotFoundError:
                continue
            found.append((os.path.relpath(file, path), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
