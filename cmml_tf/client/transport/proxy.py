"""Which HTTP proxy gRPC sends a channel's calls through, and what to say of it when they fail.

gRPC reads the environment as its own document `environment_variables.md` says: `grpc_proxy`,
`https_proxy`, `http_proxy`, the first that is set; `no_grpc_proxy`, `no_proxy` likewise. Capitals
are not read, and no target but a socket of the file system is left out by itself.
"""

import ipaddress
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

_PROXIES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPTIONS = ("no_grpc_proxy", "no_proxy")
_ENABLED, _GIVEN = "grpc.enable_http_proxy", "grpc.http_proxy"
_WITHOUT_PROXY = ("unix", "unix-abstract", "vsock")


class Proxy(NamedTuple):
    """A proxy that a channel's calls go through.

    Attributes:
      target: What the channel was asked to call.
      host: The target's host, for `exceptions`.
      address: The proxy, without the password that its URL may hold.
      source: The variable or channel option that names it.
      exceptions: The variable that gRPC reads hosts without a proxy from.
    """

    target: str
    host: str
    address: str
    source: str
    exceptions: str

    @property
    def sentence(self) -> str:
        """What happens, and what to do about it."""
        return (
            f"Calls to {self.target} go through the proxy {self.address}, because {self.source} "
            f"names it. To call directly, add {self.host} to {self.exceptions} (as written here: "
            "localhost does not cover 127.0.0.1), or pass "
            f"channel_options=[('{_ENABLED}', 0)]."
        )


def proxy_of(
    target: str,
    options: Iterable[tuple[str, Any]],
    environment: Mapping[str, str] = os.environ,
) -> Proxy | None:
    """The proxy of a channel, or None where it connects directly.

    Args:
      target: As given to the channel: `host:port`, or with a scheme.
      options: The channel's options; they may name a proxy or turn it off.
      environment: Variables.
    """
    given = dict(options)
    if not given.get(_ENABLED, 1):
        return None
    source, url = next(
        ((name, environment[name]) for name in _PROXIES if name in environment), ("", "")
    )
    if _GIVEN in given:
        source, url = f"the channel option {_GIVEN}", str(given[_GIVEN])
    address = _address(url)
    scheme, host = _scheme_and_host(target)
    if not address or scheme in _WITHOUT_PROXY:
        return None
    exceptions = next((name for name in _EXCEPTIONS if name in environment), _EXCEPTIONS[-1])
    if any(_covers(entry, host) for entry in environment.get(exceptions, "").split(",") if entry):
        return None
    return Proxy(target, host, address, source, exceptions)


def _address(url: str) -> str:
    """`http://host:port` of a proxy's URL; empty where gRPC does not use it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    address = parts.netloc.rpartition("@")[2]
    return f"http://{address}" if parts.scheme == "http" and address else ""


def _scheme_and_host(target: str) -> tuple[str, str]:
    """`dns:///models:8500` and `models:8500` are both (`dns`, `models`)."""
    scheme, colon, path = target.partition(":")
    if not colon or scheme.lower() not in ("dns", "ipv4", "ipv6", *_WITHOUT_PROXY):
        scheme, path = "dns", target
    if path.startswith("//"):
        path = path[2:].partition("/")[2]  # what stands before is the name server
    path = unquote(path)
    if path.startswith("["):
        return scheme.lower(), path[1:].partition("]")[0]
    host, _, port = path.rpartition(":")
    return scheme.lower(), host if host and port.isdigit() and ":" not in host else path


def _covers(entry: str, host: str) -> bool:
    """Whether an entry of `no_proxy` is the host, a domain above it, or its network."""
    entry, host = entry.strip().lower(), host.lower()
    if host == entry or host.endswith("." + entry.removeprefix(".")):
        return True
    if "/" not in entry:
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
