"""Opens a channel to Scrip."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import grpc

from .clock import Clock

# A stream has no deadline, and is resumed by history().
SERVICE_CONFIG = """{
  "loadBalancingConfig": [{ "round_robin": {} }],
  "methodConfig": [
    {
      "name": [{}],
      "timeout": "10s",
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"]
      }
    },
    {
      "name": [
        { "service": "billing.v1.BillingService", "method": "StreamHistory" },
        { "service": "billing.v1.EventService", "method": "StreamEvents" }
      ]
    }
  ],
  "retryThrottling": { "maxTokens": 100, "tokenRatio": 0.1 }
}"""

OPTIONS = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
)


@dataclass(frozen=True)
class Settings:
    """Where the service is, and who calls."""

    address: str | None
    ca_file: str | None = None
    """The CA of the service. None: plain text."""
    cert_file: str | None = None
    """A certificate that names the caller, and its key."""
    key_file: str | None = None
    token_file: str | None = None
    """A bearer token that names the caller."""

    @staticmethod
    def from_environment() -> Settings:
        return Settings(
            address=os.environ.get("SCRIP_ADDRESS"),
            ca_file=os.environ.get("SCRIP_CA_FILE"),
            cert_file=os.environ.get("SCRIP_CERT_FILE"),
            key_file=os.environ.get("SCRIP_KEY_FILE"),
            token_file=os.environ.get("SCRIP_TOKEN_FILE"),
        )


def connect(settings: Settings, clock: Clock | None = None) -> grpc.Channel:
    """Opens a channel. It connects with the first call, and shows the clock the service's time."""
    if not settings.address:
        raise ValueError("SCRIP_ADDRESS is not set")
    credentials = channel_credentials(settings)
    if credentials is None:
        channel = grpc.insecure_channel(settings.address, OPTIONS)
    else:
        channel = grpc.secure_channel(settings.address, credentials, OPTIONS)
    return grpc.intercept_channel(channel, clock) if clock else channel


def channel_credentials(settings: Settings) -> grpc.ChannelCredentials | None:
    ca_file, token_file = settings.ca_file, settings.token_file
    cert_file, key_file = settings.cert_file, settings.key_file
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
