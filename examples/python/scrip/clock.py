"""The clock of the service, as its answers show it."""

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from time import time

import grpc


class Clock(grpc.UnaryUnaryClientInterceptor):
    """It reads the trailer scrip-time of every answer. Until the first one it is the time of this
    machine."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(time() + self._ahead, timezone.utc)

    def not_after(self, timeout: float) -> datetime:
        """The not_after of a mutation that is repeated for so many seconds: what arrives later than a
        minute after that has no effect."""
        moment = self.now() + timedelta(seconds=timeout, minutes=1)
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def intercept_unary_unary(
        self, continuation: Callable, details: grpc.ClientCallDetails, request: object
    ) -> grpc.Call:
        call = continuation(details, request)
        call.add_done_callback(self._learn)
        return call

    def _learn(self, call: grpc.Call) -> None:
        for key, value in call.trailing_metadata() or ():
            if key == "scrip-time":
                self._ahead = int(value) / 1000 - time()
