/** Recomputes every reservation from its entries, and holds its row against what they say. */
import type { Reservation } from '../ledger/reservation.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { toMoves } from '../store/tables/entries.ts';
import { reservations as table } from '../store/tables/reservations.ts';
import { type AccountGroup, accountOf, grantsOf, groupRows } from './account-group.ts';
import { OVERAGE } from './moves.ts';
import { instant } from './replay.ts';
import { type ReservationEntry, ReservationReplay } from './reservation-replay.ts';
import type { InRange } from './snapshot.ts';

export async function checkReservations(group: AccountGroup): Promise<void> {
  const held = new Map<string, Map<bigint, bigint>>();
  const rows = group.snapshot.rows(reservationsWithEntries);
  for await (const ofOne of groupRows(rows, 'reservation_id')) {
    const [row] = ofOne;
    if (!accountOf(group, row, 'reservations')) continue;
    const life = new ReservationReplay();
    for (const row of ofOne) if (row['seq'] !== null) takeEntry(group, row, life);
    const reservation = closeReservation(group, row, life);
    if (reservation) addHeld(held, reservation);
  }
  checkHeld(group, held);
}

/** Each entry beside the reservation it belongs to. Neither has to be there. */
const reservationsWithEntries = (inRange: InRange) => `
  select *, case when kept then
    terms_of_entry = jsonb_build_array(r.reference, r.labels, r.rate_card_version)
      and coalesce(plan_of_entry, r.plan_id) = r.plan_id
  end as same_terms
  from (
    select ${table.selectList}, held, true as kept
    from reservations where ${inRange('account_id')}
  ) r
  full join (
    select account_id, reservation_id, seq, kind, ${millis('at')}, moves, late as late_entry,
      entries.credits as entry_credits,
      case when kind <> 'REFUND' then jsonb_build_array(reference, labels, rate_card_version)
      end as terms_of_entry, plan_id as plan_of_entry
    from entries where ${inRange('account_id')} and reservation_id is not null
  ) e using (account_id, reservation_id)
  order by account_id, reservation_id, seq`;

function takeEntry({ findings }: AccountGroup, row: Row, life: ReservationReplay) {
  const accountId: string = row['account_id']!;
  const report = (what: string) => findings.add(accountId, `entry ${row['seq']}: ${what}`);
  if (row['same_terms'] === false)
    report('its reference, labels or rate card are not those of its reservation');
  const step = readStep(row);
  if (step) life.take(step, report);
}

/** Null where its moves cannot be read: that was told when the entries were replayed. */
function readStep(row: Row): ReservationEntry | null {
  try {
    return {
      kind: row['kind']!,
      at: row['at']!,
      moves: toMoves(row['moves']!),
      credits: BigInt(row['entry_credits']!),
      late: row['late_entry']!,
    };
  } catch {
    return null;
  }
}

/** Holds the row against the entries; answers it, or null where there is none. */
function closeReservation({ findings }: AccountGroup, row: Row, life: ReservationReplay) {
  const accountId: string = row['account_id']!;
  const report = (what: string) =>
    findings.add(accountId, `reservation ${row['reservation_id']}: ${what}`);
  if (!row['kept']) {
    report('the entries name it, there is no such reservation');
    return null;
  }
  const reservation = table.read(row);
  if (life.state === null) {
    report('no entry reserved it');
    return reservation;
  }
  const agree = (name: string, stated: bigint, moved: bigint) => {
    if (stated !== moved) report(`${name} is ${stated}, the entries say ${moved}`);
  };
  agree('credits', reservation.credits, life.reserved);
  agree('held', BigInt(row['held']!), life.held);
  agree('committed', reservation.committed, life.committed);
  agree('returned', reservation.returned, life.returned);
  checkAllocations(reservation, life, report);
  checkEnd(reservation, life, report);
  if (life.drew && !life.late && reservation.overCommitPolicy !== 'DRAW')
    report(`its policy is ${reservation.overCommitPolicy}, a commit drew more than it held`);
  return reservation;
}

function checkAllocations(
  { allocations }: Reservation,
  life: ReservationReplay,
  report: (what: string) => void,
) {
  const stated = new Map(allocations.map(({ grantId, credits }) => [grantId, credits]));
  for (const grantId of new Set([...stated.keys(), ...life.allocations.keys()])) {
    const credits = stated.get(grantId) ?? 0n;
    const moved = life.allocations.get(grantId) ?? 0n;
    const of = grantId === OVERAGE ? 'overage' : `grant ${grantId}`;
    if (credits !== moved) report(`holds ${credits} of ${of}, the entries say ${moved}`);
  }
}

function checkEnd(
  { state, late, createdAt, endedAt, expiresAt }: Reservation,
  life: ReservationReplay,
  report: (what: string) => void,
) {
  if (state !== life.state && !(state === 'ACTIVE' && life.mayBeActive))
    report(`state is ${state}, the entries say ${life.state}`);
  if (late !== life.late) report(`late is ${late}, the entries say ${life.late}`);
  if (createdAt !== life.createdAt)
    report(`created_at is ${instant(createdAt)}, the entries say ${instant(life.createdAt)}`);
  if (state === 'ACTIVE' || endedAt === null) return;
  // An expired one ended when its time was over, which is before that was written down.
  const ended = state === 'EXPIRED' ? expiresAt : life.endedAt;
  if (endedAt !== ended || ended > life.endedAt)
    report(`ended_at is ${instant(endedAt)}, the entries say ${instant(ended)}`);
}

function addHeld(held: Map<string, Map<bigint, bigint>>, { accountId, allocations }: Reservation) {
  const ofAccount = held.get(accountId) ?? new Map<bigint, bigint>();
  held.set(accountId, ofAccount);
  for (const { grantId, credits } of allocations)
    ofAccount.set(grantId, (ofAccount.get(grantId) ?? 0n) + credits);
}

/** What reservations hold of a grant is what is reserved of it; overage likewise. */
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
