"""Why the service refused a call."""

import grpc
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status


def refusal_of(error: grpc.RpcError) -> ErrorInfo | None:
    """The reason and its values. None for an error that does not come from the service, such as a
    connection that could not be opened."""
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = ErrorInfo()
        if detail.Unpack(info) and info.domain == "billing.scrip":
            return info
    return None
