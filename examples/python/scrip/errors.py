"""Why a call failed."""

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from billing.v1.error_details_pb2 import InsufficientCredits


def refusal_of(error: grpc.RpcError) -> ErrorInfo | None:
    """The reason and its values. None for an error that does not come from the service, such as a
    connection that could not be opened."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == "billing.scrip":
            return info
    return None


def missing_credits_of(error: grpc.RpcError) -> InsufficientCredits | None:
    """How many credits a refused call lacked, and the packs that would cover them, best first. None
    for other errors."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        missing = InsufficientCredits()
        if detail.Unpack(missing):
            return missing
    return None


def is_outcome_unknown(error: grpc.RpcError) -> bool:
    """Whether a failed mutation may have had an effect. The same request, under the same id, finds
    out."""
    return error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
