"""Which versions of a model should be loaded, from its folder and its configuration."""

import os
import stat

from tensorflow_serving.config import model_server_config_pb2

_LARGEST = 2**63 - 1


def versions_on_disk(base_path: str) -> tuple[dict[int, str], dict[str, str]]:
    """Folders named by a number; names that are no number are ignored.

    Returns:
      version -> path, and path -> reason for numbers that cannot be versions: links that lead
      nowhere or round and round, files, and numbers beyond int64.

    Raises:
      OSError: The base path cannot be listed.
    """
    found: dict[int, str] = {}
    passed_over: dict[str, str] = {}
    with os.scandir(base_path) as entries:
        for entry in entries:
            if not (entry.name.isascii() and entry.name.isdigit()):
                continue
            # Digits of any number: Python refuses to convert thousands of them.
            if len(entry.name.lstrip("0")) > len(str(_LARGEST)) or int(entry.name) > _LARGEST:
                passed_over[entry.path] = "its number is beyond int64"
                continue
            try:
                if stat.S_ISDIR(os.stat(entry.path).st_mode):
                    found[int(entry.name)] = entry.path
                else:
                    passed_over[entry.path] = "it is not a folder"
            except OSError as error:
                passed_over[entry.path] = str(error.strerror)
    return found, passed_over


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
            except OSError:
                # Gone since, or a link that leads nowhere: loading says what is wrong.
                continue
            found.append((os.path.relpath(file, path), status.st_size, status.st_mtime_ns))
    return tuple(sorted(found))
