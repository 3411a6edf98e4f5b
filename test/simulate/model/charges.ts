/** Which entries belong to one charge, and whether it has ended. */
import { Entry_Kind, Reservation_State } from '../../../src/gen/billing/v1/ledger.ts';
import {
  type ChargeKey,
  ChargePath_State,
  type TraceChargeRequest,
} from '../../../src/gen/billing/v1/operator_service.ts';
import { textOf } from '../compare.ts';
import { entriesOf } from './history.ts';
import type { AccountState, ModelEntry } from './state.ts';

type Id = NonNullable<TraceChargeRequest['id']>;
type Charge = ChargeKey['charge'];

/** What is predicted of a path: its steps by their seqs. */
export type ModelPath = {
  readonly key: ChargeKey;
  readonly steps: readonly { readonly seq: bigint; readonly found: boolean }[];
  /** Null of a purchase that granted nothing: the provider decides whether its payment may still come. */
  readonly state: ChargePath_State | null;
  readonly until: Date | undefined;
};

/** The paths of the charges that an id names. */
export function pathsOf(state: AccountState, id: Id, now: number): readonly ModelPath[] {
  const entries = [...entriesOf(state)].reverse();
  const chargeOf = chargesOf(entries);
  const firsts = firstsOf(entries);
  // A request id names what its request made first.
  const names = (entry: ModelEntry, asked: Id) =>
    has(entry, asked) && (asked.$case !== 'requestId' || firsts.get(entry.requestId) === entry);
  const named = new Map(
    entries.filter((entry) => names(entry, id)).map((entry) => [keyOf(chargeOf(entry)), entry]),
  );
  return [...named].map(([key, entry]) => {
    const charge = chargeOf(entry);
    const requestId = requestOf(entries, charge);
    const own = entries.filter(
      (other) =>
        keyOf(chargeOf(other)) === key || (requestId !== '' && other.requestId === requestId),
    );
    return {
      key: { accountId: state.accountId, charge },
      steps: own.map((step) => ({ seq: step.seq, found: has(step, id) })),
      ...endOf(state, charge, now),
    };
  });
}

const keyOf = (charge: Charge): string => textOf(charge);

/** The first entry of each request. */
function firstsOf(entries: readonly ModelEntry[]): ReadonlyMap<string, ModelEntry> {
  const firsts = new Map<string, ModelEntry>();
  for (const entry of entries)
    if (entry.requestId !== '' && !firsts.has(entry.requestId)) firsts.set(entry.requestId, entry);
  return firsts;
}

/** Whose entries are all on the path: also purchases, which have paths of their own. Empty: nobody's. */
const requestOf = (entries: readonly ModelEntry[], charge: Charge): string =>
  (charge?.$case === 'entrySeq' && entries.find(({ seq }) => seq === charge.value)?.requestId) ||
  '';

function has(entry: ModelEntry, id: Id): boolean {
  if (id.$case === 'requestId') return entry.requestId === id.value;
  if (id.$case === 'reservationId') return entry.reservationId === id.value;
  return id.$case === 'entrySeq' && entry.seq === id.value;
}

/**
 * A refund belongs to what it refunds; an entry without a job to the first one of its request. What returns for late usage
 * belongs to what spends it.
 */
function chargesOf(entries: readonly ModelEntry[]): (entry: ModelEntry) => Charge {
  const firsts = firstsOf(entries);
  const own = ({ kind, seq, refundedSeq, reservationId, purchaseId }: ModelEntry): Charge => {
    if (reservationId !== '') return { $case: 'reservationId', value: reservationId };
    if (purchaseId !== '') return { $case: 'purchaseId', value: purchaseId };
    return { $case: 'entrySeq', value: kind === Entry_Kind.REFUND ? refundedSeq : seq };
  };
  const spendings = new Map<ModelEntry, ModelEntry>();
  let next: ModelEntry | undefined;
  for (const entry of [...entries].reverse())
    if (entry.kind === Entry_Kind.REINSTATE && entry.usedAt && next) spendings.set(entry, next);
    else next = entry;
  return (entry) => {
    const spending = spendings.get(entry) ?? entry;
    const { reservationId, purchaseId, requestId } = spending;
    return own(reservationId + purchaseId === '' ? (firsts.get(requestId) ?? spending) : spending);
  };
}

function endOf({ reservations, purchases, plan }: AccountState, charge: Charge, now: number) {
  const ended = { state: ChargePath_State.ENDED, until: undefined };
  if (charge?.$case === 'purchaseId' && !purchases.get(charge.value)?.grantId)
    return { state: null, until: undefined };
  const reservation =
    charge?.$case === 'reservationId' ? reservations.get(charge.value) : undefined;
  if (!reservation) return ended;
  const { expiresAt } = reservation;
  if (reservation.state === Reservation_State.ACTIVE)
    return { state: ChargePath_State.RUNNING, until: new Date(expiresAt) };
  const until = expiresAt + plan.graceMs;
  return reservation.state === Reservation_State.EXPIRED && now <= until
    ? { state: ChargePath_State.LATE, until: new Date(until) }
    : ended;
}
