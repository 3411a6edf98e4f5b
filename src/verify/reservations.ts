/** Recomputes every reservation from its entries, and compares its row with the result. */
import type { Reservation } from '../ledger/reservation.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { toMoves } from '../store/tables/entries.ts';
import { reservations as table } from '../store/tables/reservations.ts';
import { type AccountGroup, findAccount, grantsOf, groupRows } from './account-group.ts';
import type { Report } from './findings.ts';
import { OVERAGE } from './moves.ts';
import { instant } from './replay.ts';
import { type ReservationEntry, ReservationReplay } from './reservation-replay.ts';
import type { InRange } from './snapshot.ts';

export async function checkReservations(group: AccountGroup): Promise<void> {
  const held = new Map<string, Map<bigint, bigint>>();
  const rows = group.snapshot.rows(reservationsWithEntries);
  for await (const reservationRows of groupRows(rows, 'reservation_id')) {
    const [first] = reservationRows;
    if (!findAccount(group, first, 'reservations')) continue;
    const replay = new ReservationReplay();
    for (const row of reservationRows) if (row['seq'] !== null) replayEntry(group, row, replay);
    const reservation = checkReservation(group, first, replay);
    if (reservation) addHeld(held, reservation);
  }
  checkHeld(group, held);
}

/** Reservations joined with their entries. Either may be missing. */
const reservationsWithEntries = (inRange: InRange) => `
  select *, case when row_exists then
    terms_of_entry = jsonb_build_array(r.reference, r.labels, r.rate_card_version)
      and coalesce(plan_of_entry, r.plan_id) = r.plan_id
  end as same_terms
  from (
    select ${table.selectList}, held, true as row_exists
    from reservations where ${inRange('account_id')}
  ) r
  full join (
    select account_id, reservation_id, seq, kind, ${millis('at')}, moves, late as late_entry, final as final_entry,
      entries.credits as entry_credits,
      case when kind <> 'REFUND' then jsonb_build_array(reference, labels, rate_card_version)
      end as terms_of_entry, plan_id as plan_of_entry
    from entries where ${inRange('account_id')} and reservation_id is not null
  ) e using (account_id, reservation_id)
  order by account_id, reservation_id, seq`;

function replayEntry({ findings }: AccountGroup, row: Row, replay: ReservationReplay) {
  const accountId: string = row['account_id']!;
  const report = (what: string) => findings.add(accountId, `entry ${row['seq']}: ${what}`);
  if (row['same_terms'] === false)
    report('its reference, labels or rate card are not those of its reservation');
  const entry = parseEntry(row);
  if (entry) replay.apply(entry, report);
}

/** Null if the moves cannot be read, which entries.ts reports. */
function parseEntry(row: Row): ReservationEntry | null {
  try {
    return {
      kind: row['kind']!,
      at: row['at']!,
      moves: toMoves(row['moves']!),
      credits: BigInt(row['entry_credits']!),
      late: row['late_entry']!,
      final: row['final_entry'] ?? null,
    };
  } catch {
    return null;
  }
}

/** Compares the row with the replayed entries. Returns it, or null if it is missing. */
function checkReservation({ findings }: AccountGroup, row: Row, replay: ReservationReplay) {
  const accountId: string = row['account_id']!;
  const report = (what: string) =>
    findings.add(accountId, `reservation ${row['reservation_id']}: ${what}`);
  if (!row['row_exists']) {
    report('the entries name it, there is no such reservation');
    return null;
  }
  const reservation = table.read(row);
  if (replay.state === null) {
    report('no entry reserved it');
    return reservation;
  }
  const compare = (name: string, stated: bigint, computed: bigint) => {
    if (stated !== computed) report(`${name} is ${stated}, the entries say ${computed}`);
  };
  compare('credits', reservation.credits, replay.reserved);
  compare('held', BigInt(row['held']!), replay.held);
  compare('committed', reservation.committed, replay.committed);
  compare('returned', reservation.returned, replay.returned);
  checkAllocations(reservation, replay, report);
  checkEnd(reservation, replay, report);
  if (replay.drew && reservation.overCommitPolicy !== 'DRAW')
    report(`its policy is ${reservation.overCommitPolicy}, a commit drew more than it held`);
  return reservation;
}

function checkAllocations({ allocations }: Reservation, replay: ReservationReplay, report: Report) {
  const stated = new Map(allocations.map(({ grantId, credits }) => [grantId, credits]));
  for (const grantId of new Set([...stated.keys(), ...replay.allocations.keys()])) {
    const credits = stated.get(grantId) ?? 0n;
    const computed = replay.allocations.get(grantId) ?? 0n;
    const source = grantId === OVERAGE ? 'overage' : `grant ${grantId}`;
    if (credits !== computed) report(`holds ${credits} of ${source}, the entries say ${computed}`);
  }
}

function checkEnd(
  { state, late, createdAt, endedAt, expiresAt }: Reservation,
  replay: ReservationReplay,
  report: Report,
) {
  if (state !== replay.state && !(state === 'ACTIVE' && replay.mayBeActive))
    report(`state is ${state}, the entries say ${replay.state}`);
  if (late !== replay.late) report(`late is ${late}, the entries say ${replay.late}`);
  if (createdAt !== replay.createdAt)
    report(`created_at is ${instant(createdAt)}, the entries say ${instant(replay.createdAt)}`);
  if (state === 'ACTIVE' || endedAt === null) return;
  // An expired reservation ended at its expiry; the entry is written later.
  const ended = state === 'EXPIRED' ? expiresAt : replay.endedAt;
  if (endedAt !== ended || ended > replay.endedAt)
    report(`ended_at is ${instant(endedAt)}, the entries say ${instant(ended)}`);
}

function addHeld(held: Map<string, Map<bigint, bigint>>, { accountId, allocations }: Reservation) {
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
