"""Mutations whose outcome must be known."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Any

import grpc

from .errors import is_outcome_unknown

ATTEMPT_SECONDS = 2


def until_known(method: Callable[..., Any], request: Any, timeout: float) -> Any:
    """Repeats a mutation whose outcome is not known, for so many seconds. Each attempt sends the same
    request, with the same id, so it has one effect at most."""
    deadline = monotonic() + timeout
    while True:
        try:
            return method(request, timeout=ATTEMPT_SECONDS)
        except grpc.RpcError as error:
            if not is_outcome_unknown(error) or monotonic() > deadline:
                raise
        sleep(0.2)
