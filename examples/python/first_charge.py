"""Charges an account for one page extraction, and prints what is left.

    first_charge.py ACCOUNT_ID [REQUEST_ID]

It exits with 1 if the call failed, and with 2 if it could not be made.
"""

import sys
import uuid

import grpc

from billing.v1.billing_service_pb2 import ChargeRequest, GetBalanceRequest
from billing.v1.billing_service_pb2_grpc import BillingServiceStub
from billing.v1.pricing_pb2 import Usage, Usages
from scrip import Settings, connect, refusal_of


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        print("usage: first_charge.py ACCOUNT_ID [REQUEST_ID]", file=sys.stderr)
        return 2
    account_id = arguments[0]
    # One request id per job, made outside of any retry: the same id is never charged twice.
    request_id = arguments[1] if len(arguments) == 2 else str(uuid.uuid4())
    try:
        channel = connect(Settings.from_environment())
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    with channel:
        try:
            first_charge(BillingServiceStub(channel), account_id, request_id)
        except grpc.RpcError as error:
            print_error(error)
            return 1
    return 0


def first_charge(billing: BillingServiceStub, account_id: str, request_id: str) -> None:
    extraction = Usage(operation="extraction.result_per_file", quantities={"pages": 2})
    charge = billing.Charge(
        ChargeRequest(
            account_id=account_id,
            request_id=request_id,
            usages=Usages(items=[extraction]),
        )
    )
    print(f"charged {charge.credits} credits")

    response = billing.GetBalance(GetBalanceRequest(account_id=account_id))
    print(f"{response.balance.available} credits available")


def print_error(error: grpc.RpcError) -> None:
    print(f"{error.code().name}: {error.details()}", file=sys.stderr)
    refusal = refusal_of(error)
    if refusal:
        print(f"reason={refusal.reason}", file=sys.stderr)
        for key, value in sorted(refusal.metadata.items()):
            print(f"{key}={value}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
