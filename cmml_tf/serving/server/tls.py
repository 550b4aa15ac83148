"""The certificates of `--ssl_config_file`, for gRPC and for REST."""

import os
import ssl
import tempfile
from typing import Any

import grpc


def grpc_credentials(config: Any) -> grpc.ServerCredentials:
    """Credentials of gRPC from an SSLConfig."""
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def http_context(config: Any) -> ssl.SSLContext:
    """The same for HTTP.

    Raises:
      ValueError: Key, certificate or authority cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Python reads keys from files only. This one nobody else can read, and it is gone at once.
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "chain.pem")
            with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as pem:
                pem.write(f"{config.server_key}\n{config.server_cert}\n")
            context.load_cert_chain(file)
        if config.custom_ca:
            context.load_verify_locations(cadata=config.custom_ca)
        if config.client_verify:
            context.verify_mode = ssl.CERT_REQUIRED
    except (ssl.SSLError, ValueError) as error:
        raise ValueError(
            "`ssl_config_file` must hold a key and its own certificate as PEM texts. "
            f"Received one that cannot be used: {error}"
        ) from error
    return context
