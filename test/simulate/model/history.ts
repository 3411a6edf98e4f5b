/** What the entries tell of the past: balances and pages of them. */
import type { GetPastBalanceResponse } from '../../../src/gen/billing/v1/billing_service.ts';
import type { Bucket_Kind, BucketBalance } from '../../../src/gen/billing/v1/ledger.ts';
import type { ReadSpec } from '../trace.ts';
import { monthOf } from './calendar.ts';
import { Refusal } from './refusal.ts';
import { type AccountState, BUCKETS, type BucketName, type ModelEntry } from './state.ts';

export type EntriesPage = { readonly entries: readonly ModelEntry[]; readonly isLast: boolean };

const timeOf = ({ at }: ModelEntry): number => at?.getTime() ?? 0;

/** Newest first. */
export function* entriesOf({ history }: AccountState): Generator<ModelEntry> {
  for (let link = history; link; link = link.before) yield link.entry;
}

/** The balance after an entry, or after the last one at an instant or before. */
export function pastBalance(
  state: AccountState,
  point: { readonly seq: bigint } | { readonly at: number },
  includeBuckets: boolean,
  now: number,
): GetPastBalanceResponse | Refusal {
  if ('seq' in point && point.seq > state.seq)
    return new Refusal('ENTRY_NOT_FOUND', { seq: point.seq });
  if ('at' in point && (point.at < state.startedAt || point.at > now))
    return new Refusal('INSTANT_OUT_OF_RANGE');
  const all = [...entriesOf(state)].reverse();
  const counted = all.filter((entry) =>
    'seq' in point ? entry.seq <= point.seq : timeOf(entry) <= point.at,
  );
  const last = counted.at(-1);
  if (!last) throw new Error('an account begins with an entry');
  const month = monthOf(state.timeZones, 'at' in point ? point.at : timeOf(last));
  const { seq, at, remainingAfter, reservedAfter, overageAfter, owedAfter } = last;
  return {
    seq,
    recordedAt: at,
    remaining: remainingAfter,
    reserved: reservedAfter,
    available: remainingAfter - reservedAfter,
    overage: monthOf(state.timeZones, timeOf(last)) === month ? overageAfter : 0n,
    buckets: includeBuckets ? bucketsAfter(counted) : [],
    owed: owedAfter,
  };
}

/** Those of grants by their numbers, then the others by their kinds; those with 0 credits left out. */
function bucketsAfter(entries: readonly ModelEntry[]): BucketBalance[] {
  const sums = new Map<string, { kind: Bucket_Kind; grantId: bigint; credits: bigint }>();
  const add = (name: BucketName, moved: bigint, credits: bigint) => {
    const grantId = name === 'available' || name === 'reserved' ? moved : 0n;
    const before = sums.get(`${name} ${grantId}`)?.credits ?? 0n;
    sums.set(`${name} ${grantId}`, { kind: BUCKETS[name], grantId, credits: before + credits });
  };
  for (const { moves } of entries)
    for (const { from, to, grantId, credits } of moves) {
      add(from, grantId, -credits);
      add(to, grantId, credits);
    }
  const order = ({ grantId }: { grantId: bigint }) => grantId || 1n << 62n;
  return [...sums.values()]
    .filter(({ credits }) => credits !== 0n)
    .sort((a, b) => Number(order(a) - order(b)) || rankOf(a) - rankOf(b))
    .map(({ kind, grantId, credits }) => ({ bucket: { kind, grantId }, credits }));
}

/** What is owed comes after overage, though its number came later. */
const rankOf = ({ kind }: { readonly kind: Bucket_Kind }): number =>
  kind === BUCKETS.owed ? BUCKETS.overage_reserved + 0.5 : kind;

type Filters = Extract<ReadSpec, { read: 'entries' }>;

/** The first page of the entries that match all filters. */
export function entriesPage(
  state: AccountState,
  { pageSize, kinds, operation, reference, requestId, labelKey, beforeSeq }: Filters,
  reservationId: string,
): EntriesPage {
  const found = [...entriesOf(state)].filter(
    (entry) =>
      (!kinds || kinds.includes(entry.kind)) &&
      (!operation || entry.usages.some(({ usage }) => usage?.operation === operation)) &&
      (!reference || entry.reference === reference) &&
      (!requestId || entry.requestId === requestId) &&
      (!labelKey || entry.labels.has(labelKey)) &&
      (!beforeSeq || entry.seq < BigInt(beforeSeq)) &&
      (reservationId === '' || entry.reservationId === reservationId),
  );
  return { entries: found.slice(0, pageSize), isLast: found.length <= pageSize };
}
