"""The history of an account."""

from collections.abc import Iterator
from time import sleep

import grpc

from billing.v1.billing_service_pb2 import StreamHistoryRequest
from billing.v1.billing_service_pb2_grpc import BillingServiceStub
from billing.v1.ledger_pb2 import Entry


def history(billing: BillingServiceStub, account_id: str, after_seq: int = 0) -> Iterator[Entry]:
    """Follows the entries of an account, each once and in order. Where a stream breaks, the next one
    resumes after the last message, on any replica. Close the iterator to end it."""
    while True:
        stream = billing.StreamHistory(
            StreamHistoryRequest(account_id=account_id, after_seq=after_seq, follow=True)
        )
        try:
            for page in stream:
                yield from page.entries
                after_seq = page.next_after_seq
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        finally:
            stream.cancel()
        sleep(0.2)
