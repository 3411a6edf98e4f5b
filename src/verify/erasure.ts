/**
 * What was erased of accounts: before an ERASE_ACCOUNT_DATA entry, in chunks. As long as an entry before it has
 * personal data the erasure goes on, and other rows may be erased or not. Once none has, all rows must be.
 */
import type { EventType } from '../ledger/event.ts';
import { KIND_CODES } from '../store/tables/codes.ts';
import type { InRange, Snapshot } from './snapshot.ts';

/** The newest erasure of an account. `events` is the seq of the last event that it erases. */
export type Erasure = {
  readonly seq: bigint;
  readonly events: bigint;
  /** The newest that has ended, which may be an earlier one. Null: none has. */
  readonly ended: { readonly seq: bigint; readonly events: bigint } | null;
};

/** Of accounts whose data were never to be erased. */
export const NO_ERASURE: Erasure = { seq: 0n, events: 0n, ended: null };

/** The events whose data are erased: those with texts of callers. */
export const ERASED_EVENTS: readonly EventType[] = [
  'budget.exceeded',
  'reservation.expired',
  'purchase.completed',
  'purchase.resolved',
];

/** Only closed accounts have them: the entries of the others are not read for it. */
const erasures = (inRange: InRange) => `
  select account_id, e.seq, content -> 'd' ->> 'events' as events,
    not exists (
      select from entries before
      where before.account_id = e.account_id and before.seq < e.seq and before.salt is not null
        and before.kind <> ${KIND_CODES.ERASE_ACCOUNT_DATA}
    ) as has_ended
  from accounts join entries e using (account_id)
  where ${inRange('account_id')} and state = 'CLOSED' and kind = ${KIND_CODES.ERASE_ACCOUNT_DATA}
  order by account_id, e.seq`;

export async function loadErasures(snapshot: Snapshot): Promise<ReadonlyMap<string, Erasure>> {
  const found = new Map<string, Erasure>();
  for await (const row of snapshot.rows(erasures)) {
    const accountId: string = row['account_id']!;
    const one = { seq: BigInt(row['seq']!), events: BigInt(readCount(row['events'])) };
    const ended = row['has_ended'] ? one : (found.get(accountId)?.ended ?? null);
    found.set(accountId, { ...one, ended });
  }
  return found;
}

const COUNT = /^\d{1,18}$/;

/** Of an entry that states no number, account-history.ts reports it. */
export const readCount = (text: string | null | undefined): string | 0 =>
  text && COUNT.test(text) ? text : 0;
