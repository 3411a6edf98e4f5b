"""Opens a channel as the SCRIP_ variables of the environment say."""

import os
from pathlib import Path

import grpc


def connect() -> grpc.Channel:
    address = os.environ.get("SCRIP_ADDRESS")
    if not address:
        raise ValueError("SCRIP_ADDRESS is not set")
    credentials = channel_credentials()
    if credentials is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, credentials)


def channel_credentials() -> grpc.ChannelCredentials | None:
    ca_file, token_file = os.environ.get("SCRIP_CA_FILE"), os.environ.get("SCRIP_TOKEN_FILE")
    cert_file, key_file = os.environ.get("SCRIP_CERT_FILE"), os.environ.get("SCRIP_KEY_FILE")
    if bool(cert_file) != bool(key_file):
        raise ValueError("SCRIP_CERT_FILE and SCRIP_KEY_FILE are needed together")
    if not ca_file:
        if cert_file or token_file:
            raise ValueError("a certificate or token needs SCRIP_CA_FILE")
        return None
    tls = grpc.ssl_channel_credentials(
        root_certificates=Path(ca_file).read_bytes(),
        private_key=Path(key_file).read_bytes() if key_file else None,
        certificate_chain=Path(cert_file).read_bytes() if cert_file else None,
    )
    if not token_file:
        return tls
    token = grpc.metadata_call_credentials(TokenInFile(Path(token_file)))
    return grpc.composite_channel_credentials(tls, token)


class TokenInFile(grpc.AuthMetadataPlugin):
    """A bearer token. The file is read for each call: Kubernetes renews it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        try:
            callback((("authorization", f"Bearer {self._file.read_text().strip()}"),), None)
        except OSError as error:
            callback((), error)
