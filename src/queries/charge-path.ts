/** The path of one charge: its entries, and whether it has ended. */
import type { Archive } from '../archive/archive.ts';
import type { Entry } from '../ledger/entry.ts';
import { returnsForLateUsage, spendsReturned } from '../ledger/expired-allowances.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { loadReservations } from '../store/load.ts';
import { shownEntries } from '../store/tables/entries.ts';
import { findArchivedSteps } from './archived-steps.ts';
import { type ChargeKey, returnsForLateUsageSql } from './found-charges.ts';
import { findGrantsById } from './grants.ts';
import { findPurchase } from './purchases.ts';

export type ChargeStep = { readonly entry: Entry; readonly erased: boolean };

export type ChargeState = 'RUNNING' | 'OVERDUE' | 'LATE' | 'ENDED';
export type ChargeGap = 'BEGINNING' | 'END' | 'ERASED' | 'MORE_STEPS';

export type ChargePath = {
  readonly key: ChargeKey;
  /** In the order of their seqs. */
  readonly steps: readonly ChargeStep[];
  /** Those that its credits came from or went to, as they are stored, in the order of their numbers. */
  readonly grants: readonly Grant[];
  readonly state: ChargeState;
  /** Of a reservation: when it expires or has expired; LATE: until when it can be committed. */
  readonly until: number | null;
  /** What the steps lack. */
  readonly gaps: readonly ChargeGap[];
};

export const STEPS_MAX = 1_000;
const GRANTS_MAX = 100;
/** How far after the first entry of a request its others are looked for. */
const FOLLOWING_MAX = 200;

/** `graceMs` is how long after its expiry a reservation of the account can be committed. */
export async function findChargePath(
  em: Em,
  archive: Archive,
  key: ChargeKey,
  now: number,
  graceMs: (accountId: string) => Promise<number>,
): Promise<ChargePath> {
  // Before the entries: what ends meanwhile is seen in these.
  const [stored] =
    'reservationId' in key
      ? await loadReservations(em, [{ accountId: key.accountId, key: key.reservationId }])
      : [];
  const found = await findAllSteps(em, archive, key);
  const steps = found.slice(0, STEPS_MAX);
  const gaps = gapsOf(key, steps, found.length > STEPS_MAX);
  const grants = await findGrantsOf(em, key.accountId, steps);
  const path = { key, steps, grants, gaps, until: null };
  if ('purchaseId' in key) {
    const purchase = await findPurchase(em, key.accountId, key.purchaseId);
    const isOpen = purchase?.state === 'PENDING' || purchase?.state === 'MISMATCHED';
    return { ...path, state: isOpen ? 'RUNNING' : 'ENDED' };
  }
  if (!('reservationId' in key) || steps.some(isEnd)) return { ...path, state: 'ENDED' };
  if (!stored) return { ...path, state: 'ENDED', gaps: endMissing(gaps) };
  const { expiresAt } = stored;
  const hasExpired = steps.some(({ entry }) => entry.kind === 'EXPIRE');
  if (stored.state === 'ACTIVE' && !hasExpired)
    return { ...path, state: expiresAt > now ? 'RUNNING' : 'OVERDUE', until: expiresAt };
  const until = expiresAt + (await graceMs(key.accountId));
  return now <= until ? { ...path, state: 'LATE', until } : { ...path, state: 'ENDED' };
}

/** What ended a reservation for good. */
const isEnd = ({ entry: { kind, final } }: ChargeStep): boolean =>
  kind === 'RELEASE' || (kind === 'COMMIT' && final !== false);

/** Where there are more steps, the end can be among them. */
const endMissing = (gaps: readonly ChargeGap[]): readonly ChargeGap[] =>
  gaps.includes('MORE_STEPS') ? gaps : [...gaps, 'END'];

function gapsOf(
  key: ChargeKey,
  steps: readonly ChargeStep[],
  hasMore: boolean,
): readonly ChargeGap[] {
  const gaps: ChargeGap[] = [];
  if (!steps.some(({ entry }) => isBeginning(key, entry))) gaps.push('BEGINNING');
  if (steps.some(({ erased }) => erased)) gaps.push('ERASED');
  if (hasMore) gaps.push('MORE_STEPS');
  return gaps;
}

function isBeginning(key: ChargeKey, { kind, seq }: Entry): boolean {
  if ('reservationId' in key) return kind === 'RESERVE';
  if ('purchaseId' in key) return kind === 'CHECKOUT' || kind === 'PURCHASE';
  return seq === key.seq;
}

/** The steps in the database, after those in files. */
async function findAllSteps(
  em: Em,
  archive: Archive,
  key: ChargeKey,
): Promise<readonly ChargeStep[]> {
  const stored = await findSteps(em, key);
  const border = await archive.borderOf(em, key.accountId);
  if (!border) return stored;
  const archived = await findArchivedSteps(em, archive, border, key);
  return [...archived, ...stored.filter(({ entry }) => entry.seq > border.seq)];
}

/** The step that its caller asked for first. */
export const firstAsked = (steps: readonly ChargeStep[]): ChargeStep | undefined =>
  steps.find(({ entry }) => !returnsForLateUsage(entry));

/** One more than a path has tells that there are more. */
async function findSteps(em: Em, key: ChargeKey): Promise<readonly ChargeStep[]> {
  const own = await selectSteps(em, conditionOf(key), [key.accountId, chargeIdOf(key)]);
  const late = own.find(({ entry }) => spendsReturned(entry));
  const steps = late ? [...(await findReturned(em, late.entry)), ...own] : own;
  // Only refunds, and what is no charge, have others that do not say themselves what they belong to.
  const firsts = own.filter(
    ({ entry: { kind } }) => kind === 'REFUND' || ('seq' in key && kind !== 'CHARGE'),
  );
  if (firsts.length === 0) return steps;
  const following = await findFollowing(em, key.accountId, firsts);
  const known = new Set(steps.map(({ entry }) => entry.seq));
  return [...steps, ...following.filter(({ entry }) => !known.has(entry.seq))].toSorted((a, b) =>
    a.entry.seq < b.entry.seq ? -1 : 1,
  );
}

function conditionOf(key: ChargeKey): string {
  if ('reservationId' in key) return 'reservation_id = $2::uuid';
  if ('purchaseId' in key) return 'purchase_id = $2::uuid';
  // An index for each: of an "or" the planner may read the whole account.
  return `seq in (
    select $2::bigint union all
    select seq from entries where account_id = $1 and refunded_seq = $2::bigint)`;
}

function chargeIdOf(key: ChargeKey): string | bigint {
  if ('reservationId' in key) return key.reservationId;
  return 'purchaseId' in key ? key.purchaseId : key.seq;
}

/** What returned for late usage. */
const findReturned = (em: Em, { accountId, seq }: Entry) =>
  selectSteps(
    em,
    `seq < $2::bigint and seq > coalesce((
       select max(seq) from entries b where account_id = $1 and seq < $2::bigint
         and not ${returnsForLateUsageSql('b')}), 0)`,
    [accountId, seq],
  );

/** What the requests of these entries wrote after them. */
const findFollowing = (em: Em, accountId: string, firsts: readonly ChargeStep[]) =>
  selectSteps(
    em,
    `seq in (
       select f.seq from entries h cross join lateral (
         select f.seq from entries f
         where f.account_id = h.account_id and f.seq > h.seq and f.seq <= h.seq + ${FOLLOWING_MAX}
           and f.method is null and f.request_id = h.request_id
           and not exists (
             select from entries o where o.account_id = h.account_id and o.seq > h.seq and o.seq < f.seq
               and (o.method is not null or o.request_id is distinct from h.request_id))
         order by f.seq limit ${FOLLOWING_MAX}
       ) f where h.account_id = $1 and h.seq = any($2::bigint[]))`,
    [accountId, firsts.map(({ entry }) => entry.seq)],
  );

async function selectSteps(
  em: Em,
  condition: string,
  parameters: readonly unknown[],
): Promise<readonly ChargeStep[]> {
  const rows = await query<Row & { readonly erased: boolean }>(
    em,
    `select ${shownEntries.selectList}, erased_hash is not null as erased from entries
     where account_id = $1 and ${condition} order by seq limit ${STEPS_MAX + 1}`,
    parameters,
  );
  return rows.map((row) => ({ entry: shownEntries.read(row), erased: row.erased }));
}

async function findGrantsOf(em: Em, accountId: string, steps: readonly ChargeStep[]) {
  const ids = new Set(
    steps.flatMap(({ entry: { moves, grantId } }) => [
      ...moves.map((move) => move.grantId),
      grantId ?? 0n,
    ]),
  );
  ids.delete(0n);
  const sorted = [...ids].toSorted((a, b) => (a < b ? -1 : 1));
  const grants = await findGrantsById(em, accountId, sorted.slice(0, GRANTS_MAX));
  return grants.toSorted((a, b) => (a.grantId < b.grantId ? -1 : 1));
}
