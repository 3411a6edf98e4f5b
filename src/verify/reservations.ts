/**
 * Replays every reservation from its entries. One that is running or expired has a row, which is compared with
 * the result; one that was committed or released has none.
 */
import { canonicalJson } from '../canonical.ts';
import type { Entry } from '../ledger/entry.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { kindCodes } from '../store/tables/codes.ts';
import type { StoredReservation } from '../store/tables/reservations.ts';
import { reservations as table } from '../store/tables/reservations.ts';
import {
  type AccountGroup,
  erasureOf,
  findAccount,
  grantsOf,
  groupRows,
  termsOfGrants,
} from './account-group.ts';
import { contentOf, kindOf } from './entry-rows.ts';
import type { Erasure } from './erasure.ts';
import type { Report } from './findings.ts';
import { HeldFor } from './held-for.ts';
import { instant } from './instant.ts';
import { OVERAGE } from './moves.ts';
import { jsonTexts, readRow } from './readable-row.ts';
import { type ReservationEntry, ReservationReplay } from './reservation-replay.ts';
import { checkDueAt } from './schedule.ts';
import type { InRange } from './snapshot.ts';

export async function checkReservations(group: AccountGroup): Promise<void> {
  const held = new Map<string, Map<bigint, bigint>>();
  const expiries = new Map<string, number>();
  const rows = group.snapshot.rows(reservationsWithEntries);
  for await (const reservationRows of groupRows(rows, 'reservation_id')) {
    const [first] = reservationRows;
    if (!findAccount(group, first, 'reservations')) continue;
    const replay = new ReservationReplay();
    const heldFor = new HeldFor(termsOfGrants(group, first['account_id']!));
    for (const row of reservationRows)
      if (row['seq'] !== null) replayEntry(group, row, replay, heldFor);
    const report = (what: string) =>
      group.findings.add(first['account_id']!, `reservation ${first['reservation_id']}: ${what}`);
    const reservation = first['row_exists'] ? readReservation(first, report) : null;
    if (reservation === undefined) continue;
    const erasure = erasureOf(group, first['account_id']!);
    checkTerms(group, reservationRows, reservation, erasure);
    if (reservation) checkErased(reservation, erasure, report);
    checkReservation(reservation, replay, report);
    if (reservation) heldFor.compare(reservation, report);
    if (reservation) compareHeldByOperation(group, reservation, report);
    if (!reservation) continue;
    addHeld(held, reservation);
    if (reservation.state === 'ACTIVE') addExpiry(expiries, reservation);
  }
  checkHeld(group, held);
  for (const account of group.accounts.values()) {
    const report = (what: string) => group.findings.add(account.accountId, what);
    const expiry = expiries.get(account.accountId) ?? null;
    checkDueAt(account, grantsOf(group, account.accountId), expiry, report);
  }
}

/** Keeps the soonest of each account. */
function addExpiry(expiries: Map<string, number>, { accountId, expiresAt }: StoredReservation) {
  expiries.set(accountId, Math.min(expiresAt, expiries.get(accountId) ?? expiresAt));
}

/** Reservations that have rows, joined with the entries of all. Either may be missing. */
const reservationsWithEntries = (inRange: InRange) => `
  select * from (
    select ${table.selectList}, ${jsonTexts(table)}, true as row_exists from reservations where ${inRange('account_id')}
  ) r
  full join (
    select account_id, reservation_id, seq, kind, ${millis('at')}, content, entries.credits as entry_credits,
      entries.caller as entry_caller, plan_id as entry_plan_id, rate_card_version as entry_rate_card_version,
      reference as entry_reference, personal as entry_personal, erased_hash is not null as erased
    from entries
    where ${inRange('account_id')} and reservation_id is not null and kind not in (${kindCodes('REFUND')})
  ) e using (account_id, reservation_id)
  order by account_id, reservation_id, seq`;

function replayEntry(
  { findings }: AccountGroup,
  row: Row,
  replay: ReservationReplay,
  heldFor: HeldFor,
) {
  const accountId: string = row['account_id']!;
  const entry = parseEntry(row);
  if (!entry) return;
  replay.apply(entry, (what) => findings.add(accountId, `entry ${row['seq']}: ${what}`));
  heldFor.apply(entry);
}

/** Null if it cannot be read, which entries.ts reports. */
function parseEntry(row: Row): (ReservationEntry & Pick<Entry, 'usages'>) | null {
  const kind = kindOf(row['kind']);
  const content = kind && contentOf(row['content'], kind);
  if (!content) return null;
  const credits = BigInt(row['entry_credits']!);
  const caller: string = row['entry_caller']!;
  return { seq: BigInt(row['seq']!), kind, at: row['at']!, caller, credits, ...content };
}

/** Undefined if the row cannot be read. */
function readReservation(row: Row, report: Report): StoredReservation | undefined {
  try {
    return readRow(table, row, report);
  } catch {
    report('its row cannot be read');
    return undefined;
  }
}

/** What all entries of a reservation have in common, with each other and with its row. */
type Terms = {
  /** The plan and the version of its rate card. */
  readonly price: string;
  /** Reference and labels; null: erased. */
  readonly personal: string | null;
};

const termsOf = (
  planId: unknown,
  rateCardVersion: unknown,
  reference: unknown,
  labels: unknown,
): Terms => ({
  price: canonicalJson([planId, rateCardVersion]),
  personal: canonicalJson([reference, labels]),
});

/** Of a reservation that was erased, or had nothing to erase. */
const NOTHING_PERSONAL = canonicalJson(['', {}]);

function checkErased({ reference, labels }: StoredReservation, { ended }: Erasure, report: Report) {
  if (ended && canonicalJson([reference, labels]) !== NOTHING_PERSONAL)
    report(`it has a reference or labels, entry ${ended.seq} erased them`);
}

function checkTerms(
  { findings }: AccountGroup,
  rows: readonly Row[],
  reservation: StoredReservation | null,
  { seq: erasedBefore }: Erasure,
) {
  let { price, personal }: { price: string | null; personal: string | null } = reservation
    ? termsOf(
        reservation.planId,
        reservation.rateCardVersion,
        reservation.reference,
        reservation.labels,
      )
    : { price: null, personal: null };
  if (erasedBefore > 0n && personal === NOTHING_PERSONAL) personal = null;
  for (const row of rows) {
    if (row['seq'] === null) continue;
    const terms = termsOfEntry(row, erasedBefore);
    price ??= terms.price;
    personal ??= terms.personal;
    if (terms.price !== price || (terms.personal ?? personal) !== personal)
      findings.add(
        row['account_id']!,
        `entry ${row['seq']}: its reference, labels or rate card are not those of its reservation ` +
          `${row['reservation_id']}`,
      );
  }
}

/** A late commit can have been written while its reservation was erased: it has the terms from before, or none. */
function termsOfEntry(row: Row, erasedBefore: bigint): Terms {
  const terms = termsOf(
    row['entry_plan_id'],
    row['entry_rate_card_version'],
    row['entry_reference'] ?? '',
    labelsOf(row['entry_personal']),
  );
  const isErased = row['erased'] || (erasedBefore > 0n && BigInt(row['seq']!) > erasedBefore);
  return isErased ? { ...terms, personal: null } : terms;
}

/** `personal` may be any JSON. */
const labelsOf = (personal: { readonly labels?: unknown } | null | undefined): unknown =>
  personal?.labels ?? {};

/** Compares the row with the replayed entries. */
function checkReservation(
  reservation: StoredReservation | null,
  replay: ReservationReplay,
  report: Report,
) {
  const { state } = replay;
  const isStored = state === 'ACTIVE' || state === 'EXPIRED';
  if (!reservation) {
    if (isStored) report(`the entries say that it is ${state}, and it has no row`);
    return;
  }
  if (state === null) return report('no entry reserved it');
  if (!isStored) return report(`the entries say that it is ${state}, and it has a row`);
  const compare = (name: string, stated: unknown, computed: unknown) => {
    if (stated !== computed) report(`${name} is ${stated}, the entries say ${computed}`);
  };
  compare('state', reservation.state, state);
  compare('caller', reservation.caller, replay.caller);
  compare('credits', reservation.credits, replay.reserved);
  compare('committed', reservation.committed, replay.committed);
  compare('returned', reservation.returned, replay.returned);
  compare('late', reservation.late, replay.late);
  compare('entry_seq', reservation.entrySeq, replay.entrySeq);
  compare('created_at', instant(reservation.createdAt), instant(replay.createdAt));
  compare('used_at', textOf(reservation.usedAt), textOf(replay.usedAt));
  compare('expires_at', instant(reservation.expiresAt), instant(replay.expiresAt));
  compare('over_commit_policy', reservation.overCommitPolicy, replay.policy);
  compareByGrant('holds', reservation.allocations, replay.allocations, report);
  compareByGrant('gave back', reservation.expiredAllocations, replay.expired, report);
}

const textOf = (at: number | null): string => (at === null ? 'not said' : instant(at));

function compareByGrant(
  verb: string,
  allocations: StoredReservation['allocations'],
  replayed: ReadonlyMap<bigint, bigint>,
  report: Report,
) {
  const stated = new Map<bigint, bigint>();
  for (const { grantId, credits } of allocations)
    stated.set(grantId, (stated.get(grantId) ?? 0n) + credits);
  for (const grantId of new Set([...stated.keys(), ...replayed.keys()])) {
    const credits = stated.get(grantId) ?? 0n;
    const computed = replayed.get(grantId) ?? 0n;
    const source = grantId === OVERAGE ? 'overage' : `grant ${grantId}`;
    if (credits !== computed)
      report(`${verb} ${credits} of ${source}, the entries say ${computed}`);
  }
}

/** What it holds for each operation, where a budget of operations was there when it was made. */
function compareHeldByOperation(
  { budgets }: AccountGroup,
  { accountId, reservationId, heldByOperation }: StoredReservation,
  report: Report,
) {
  const said = budgets.get(accountId)?.heldByOperation(reservationId) ?? null;
  const textOf = (shares: Iterable<readonly [string, bigint]>) =>
    canonicalJson(new Map([...shares].filter(([, credits]) => credits !== 0n)));
  const stated = heldByOperation?.map(
    ({ operation, credits }) => [operation ?? '', credits] as const,
  );
  const [one, other] = [stated ? textOf(stated) : 'none', said ? textOf(said) : 'none'];
  if (one !== other) report(`held_by_operation is ${one}, the entries say ${other}`);
}

function addHeld(
  held: Map<string, Map<bigint, bigint>>,
  { accountId, allocations }: StoredReservation,
) {
  const ofAccount = held.get(accountId) ?? new Map<bigint, bigint>();
  held.set(accountId, ofAccount);
  for (const { grantId, credits } of allocations)
    ofAccount.set(grantId, (ofAccount.get(grantId) ?? 0n) + credits);
}

/** The sum that reservations hold of a grant is its `reserved`; likewise for overage. */
function checkHeld(group: AccountGroup, held: ReadonlyMap<string, ReadonlyMap<bigint, bigint>>) {
  for (const { accountId, overageReserved } of group.accounts.values()) {
    const ofGrant = (grantId: bigint) => held.get(accountId)?.get(grantId) ?? 0n;
    const report = (what: string) => group.findings.add(accountId, what);
    if (ofGrant(OVERAGE) !== overageReserved)
      report(`overage_reserved is ${overageReserved}, reservations hold ${ofGrant(OVERAGE)}`);
    for (const { grantId, reserved } of grantsOf(group, accountId).values())
      if (ofGrant(grantId) !== reserved)
        report(`grant ${grantId}: reserved is ${reserved}, reservations hold ${ofGrant(grantId)}`);
  }
}
