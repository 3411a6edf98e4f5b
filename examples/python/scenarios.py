"""What a product service does with Scrip. It prints one line for each scenario.

    scenarios.py ACCOUNT_ID [NAME...]

It exits with 1 if a call failed that should not, and with 2 if none could be made.
"""

import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import SimpleQueue
from time import sleep

import grpc

from billing.v1.billing_service_pb2 import (
    ChargeRequest,
    CommitRequest,
    EstimateRequest,
    ExtendReservationRequest,
    GetBalanceRequest,
    GetReservationRequest,
    ReleaseRequest,
    ReserveRequest,
)
from billing.v1.billing_service_pb2_grpc import BillingServiceStub
from billing.v1.ledger_pb2 import Entry, Reservation
from billing.v1.pricing_pb2 import Usage, Usages
from scrip import (
    Clock,
    Settings,
    connect,
    history,
    is_outcome_unknown,
    missing_credits_of,
    refusal_of,
    until_known,
)


@dataclass(frozen=True)
class Account:
    """An account, and who calls about it."""

    id: str
    settings: Settings
    billing: BillingServiceStub
    clock: Clock


def new_id() -> str:
    return str(uuid.uuid4())


def pages(count: int) -> Usages:
    """The usages of an extraction from a document."""
    return Usages(items=[Usage(operation="extraction.result_per_file", quantities={"pages": count})])


def credits_charge(account_id: str, credits: int, **fields: object) -> ChargeRequest:
    return ChargeRequest(account_id=account_id, request_id=new_id(), credits=credits, **fields)


def reason_of(method: Callable, request: object) -> str:
    """Why the service refuses the request."""
    try:
        method(request)
    except grpc.RpcError as error:
        refusal = refusal_of(error)
        return refusal.reason if refusal else str(error.code())
    return "none"


def estimate(account: Account) -> str:
    """The price of a job. It changes nothing."""
    estimate = account.billing.Estimate(EstimateRequest(account_id=account.id, usages=pages(3)))
    return f"credits={estimate.credits} sufficient={truth(estimate.sufficient)}"


def reserve(account: Account) -> str:
    """Keeps a reservation alive while its job runs, and then charges all of it."""
    ttl = timedelta(seconds=30)
    reservation = account.billing.Reserve(
        ReserveRequest(account_id=account.id, request_id=new_id(), usages=pages(4), ttl=ttl)
    ).reservation

    beats: SimpleQueue[Reservation | grpc.RpcError] = SimpleQueue()
    # A real job has a heartbeat each third of the TTL.
    with Heartbeat(account, reservation.reservation_id, ttl, 0.1, beats):
        beat = beats.get()  # The work: it ends with the first heartbeat.
    if isinstance(beat, grpc.RpcError):
        raise beat

    committed = account.billing.Commit(
        CommitRequest(
            account_id=account.id,
            request_id=new_id(),
            reservation_id=reservation.reservation_id,
            all=True,
        )
    )
    is_extended = beat.expires_at.ToDatetime() > reservation.expires_at.ToDatetime()
    return f"held={reservation.held} extended={truth(is_extended)} committed={committed.committed}"


class Heartbeat(threading.Thread):
    """Extends a reservation until the block ends, and tells of each extension, or why the reservation
    is lost."""

    def __init__(
        self,
        account: Account,
        reservation_id: str,
        ttl: timedelta,
        interval: float,
        beats: SimpleQueue,
    ) -> None:
        super().__init__(daemon=True)
        self._billing = account.billing
        self._request = ExtendReservationRequest(
            account_id=account.id, reservation_id=reservation_id, ttl=ttl
        )
        self._interval = interval
        self._beats = beats
        self._end = threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        while not self._end.wait(self._interval):
            self._request.request_id = new_id()
            try:
                self._beats.put(self._billing.ExtendReservation(self._request).reservation)
            except grpc.RpcError as error:
                if is_outcome_unknown(error):
                    continue
                self._beats.put(error)
                return


def partial_commits(account: Account) -> str:
    """Charges a job in parts. The last part gives the rest back."""
    reservation = reserve_credits(account, 6, timedelta(minutes=1))
    for credits, final in ((2, False), (1, False), (1, True)):
        reservation = account.billing.Commit(
            CommitRequest(
                account_id=account.id,
                request_id=new_id(),
                reservation_id=reservation.reservation_id,
                credits=credits,
                final=final,
            )
        ).reservation
    return f"committed={reservation.committed} returned={reservation.returned}"


def release(account: Account) -> str:
    """Gives back what a job that failed had reserved."""
    reservation = reserve_credits(account, 5, timedelta(minutes=1))
    released = account.billing.Release(
        ReleaseRequest(
            account_id=account.id,
            request_id=new_id(),
            reservation_id=reservation.reservation_id,
        )
    )
    return f"released={released.released}"


def insufficient_credits(account: Account) -> str:
    """Is refused, and reads what to buy."""
    try:
        account.billing.Charge(credits_charge(account.id, 100))
    except grpc.RpcError as error:
        refusal, missing = refusal_of(error), missing_credits_of(error)
        if refusal is None or missing is None:
            raise
    else:
        raise RuntimeError("the account has 100 credits")
    offer = missing.offers[0]
    return (
        f"reason={refusal.reason} required={missing.required} available={missing.available} "
        f"shortfall={missing.shortfall} offer={offer.quantity}x{offer.pack.pack_id} "
        f"price={offer.price.amount}{offer.price.currency}"
    )


def replay(account: Account) -> str:
    """Sends a request again, and then another one under its id."""
    request = credits_charge(account.id, 1)
    first = account.billing.Charge(request)
    again = account.billing.Charge(request)
    request.credits = 2
    other = reason_of(account.billing.Charge, request)
    return (
        f"credits={again.credits} replayed={truth(again.HasField('replay'))} "
        f"same_entry={truth(again.entry_seq == first.entry_seq)} other={other}"
    )


def unknown_outcome(account: Account) -> str:
    """Charges once, though an answer is lost."""
    # Any answer tells the time of the service.
    account.billing.GetBalance(GetBalanceRequest(account_id=account.id))
    request = credits_charge(
        account.id, 2, reference="unknown-outcome", not_after=account.clock.not_after(30)
    )
    charge = until_known(account.billing.Charge, request, timeout=30)

    # A request that arrives after its not_after has no effect.
    delayed = credits_charge(account.id, 2, not_after=account.clock.not_after(-120))
    return (
        f"credits={charge.credits} replayed={truth(charge.HasField('replay'))} "
        f"delayed={reason_of(account.billing.Charge, delayed)}"
    )


def expiry(account: Account) -> str:
    """Lets a reservation expire. Its job can still be charged within the grace period of the plan."""
    reservation = reserve_credits(account, 2, timedelta(milliseconds=100))
    name = {"account_id": account.id, "reservation_id": reservation.reservation_id}
    while reservation.state == Reservation.STATE_ACTIVE:
        sleep(0.05)
        reservation = account.billing.GetReservation(GetReservationRequest(**name)).reservation
    extend = reason_of(
        account.billing.ExtendReservation,
        ExtendReservationRequest(**name, request_id=new_id(), ttl=timedelta(minutes=1)),
    )
    late = account.billing.Commit(CommitRequest(**name, request_id=new_id(), all=True))
    return (
        f"state={Reservation.State.Name(reservation.state)} extend={extend} "
        f"committed={late.committed} late={truth(late.reservation.late)}"
    )


def reserve_credits(account: Account, credits: int, ttl: timedelta) -> Reservation:
    return account.billing.Reserve(
        ReserveRequest(account_id=account.id, request_id=new_id(), credits=credits, ttl=ttl)
    ).reservation


def follow_history(account: Account) -> str:
    """Follows the entries, through a connection that breaks, up to its own charge."""
    balance = account.billing.GetBalance(GetBalanceRequest(account_id=account.id)).balance
    charge = credits_charge(account.id, 1, reference="history")
    last = 0
    with closing(history(account.billing, account.id)) as entries:
        for entry in entries:
            if entry.seq != last + 1:
                raise RuntimeError(f"entry {entry.seq} after entry {last}")
            last = entry.seq
            if last == balance.seq:
                account.billing.Charge(charge)
            if entry.request_id == charge.request_id:
                break
    return f"kind={Entry.Kind.Name(entry.kind)} reference={entry.reference}"


def mutual_tls(account: Account) -> str:
    """Calls as the one whom the certificate names."""
    if not account.settings.cert_file:
        raise ValueError("SCRIP_CERT_FILE is not set")
    return caller_of(account.id, replace(account.settings, token_file=None))


def jwt(account: Account) -> str:
    """Calls as the one whom the token names."""
    if not account.settings.token_file:
        raise ValueError("SCRIP_TOKEN_FILE is not set")
    return caller_of(account.id, replace(account.settings, cert_file=None, key_file=None))


def caller_of(account_id: str, settings: Settings) -> str:
    """Makes a charge, and tells who made it by its entry."""
    with connect(settings) as channel:
        billing = BillingServiceStub(channel)
        charge = billing.Charge(credits_charge(account_id, 1))
        with closing(history(billing, account_id, charge.entry_seq - 1)) as entries:
            return f"caller={next(entries).caller}"


def truth(value: bool) -> str:
    return str(value).lower()


SCENARIOS: dict[str, Callable[[Account], str]] = {
    "estimate": estimate,
    "reserve": reserve,
    "partial-commits": partial_commits,
    "release": release,
    "insufficient-credits": insufficient_credits,
    "replay": replay,
    "unknown-outcome": unknown_outcome,
    "expiry": expiry,
    "history": follow_history,
    "mutual-tls": mutual_tls,
    "jwt": jwt,
}


def main(arguments: list[str]) -> int:
    if not arguments:
        print("usage: scenarios.py ACCOUNT_ID [NAME...]", file=sys.stderr)
        return 2
    account_id, *names = arguments
    settings = Settings.from_environment()
    # The certificate names the caller of all but the last.
    caller = replace(settings, token_file=None) if settings.cert_file else settings
    clock = Clock()
    try:
        channel = connect(caller, clock)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    with channel:
        account = Account(account_id, settings, BillingServiceStub(channel), clock)
        for name in names or SCENARIOS:
            try:
                print(f"{name}: {SCENARIOS[name](account)}")
            except (grpc.RpcError, RuntimeError, ValueError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
