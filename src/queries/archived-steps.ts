/** The steps of a charge that are archived. */
import type { Archive, Border } from '../archive/archive.ts';
import { type EntryRow, entryOf } from '../archive/entry-row.ts';
import { uuidBytes } from '../archive/parquet-columns.ts';
import type { Entry } from '../ledger/entry.ts';
import { returnsForLateUsage, spendsReturned } from '../ledger/expired-allowances.ts';
import type { Em } from '../pg/orm.ts';
import type { ChargeStep } from './charge-path.ts';
import type { ChargeKey } from './found-charges.ts';

/** How far after the first entry of a request its others are looked for. */
const FOLLOWING_MAX = 200n;

/** Entries before late usage that are searched for what returned for it: one for each allowance of its time. */
export const RETURNED_MAX = 20n;

/** In the order of their seqs. */
export async function findArchivedSteps(
  em: Em,
  archive: Archive,
  border: Border,
  key: ChargeKey,
): Promise<readonly ChargeStep[]> {
  const found = await findOwn(em, archive, border, key);
  const steps = new Map(found.map((row) => [row.seq, stepOf(row)]));
  for (const { entry } of [...steps.values()]) {
    const { kind, seq, requestId } = entry;
    if (spendsReturned(entry))
      for (const row of await findReturned(em, archive, border, entry))
        steps.set(row.seq, stepOf(row));
    if (kind !== 'REFUND' && !('seq' in key && kind !== 'CHARGE')) continue;
    const range = { accountId: key.accountId, after: seq, upTo: seq + FOLLOWING_MAX };
    for (const row of await archive.rows(em, border, range)) {
      const step = stepOf(row);
      if (row['method'] !== null || !isOfRequest(step.entry, requestId)) break;
      steps.set(row.seq, step);
    }
  }
  return [...steps.values()].toSorted((a, b) => (a.entry.seq < b.entry.seq ? -1 : 1));
}

async function findReturned(em: Em, archive: Archive, border: Border, { accountId, seq }: Entry) {
  const range = { accountId, after: seq - 1n - RETURNED_MAX, upTo: seq - 1n };
  const rows = (await archive.rows(em, border, range)).toReversed();
  const other = rows.findIndex((row) => !returnsForLateUsage(entryOf(row)));
  return other < 0 ? rows : rows.slice(0, other);
}

const isOfRequest = (entry: Entry, requestId: string): boolean =>
  requestId !== '' && entry.requestId === requestId;

/** The entries that say themselves what they belong to. */
async function findOwn(
  em: Em,
  archive: Archive,
  border: Border,
  key: ChargeKey,
): Promise<readonly EntryRow[]> {
  const { accountId } = key;
  if ('reservationId' in key)
    return await archive.find(em, 'reservation_id', [uuidBytes(key.reservationId)], accountId);
  if ('purchaseId' in key)
    return await archive.find(em, 'purchase_id', [uuidBytes(key.purchaseId)], accountId);
  const range = { accountId, after: key.seq - 1n, upTo: key.seq };
  const own = await archive.rows(em, border, range);
  return [...own, ...(await archive.find(em, 'refunded_seq', [key.seq], accountId))];
}

const stepOf = (row: EntryRow): ChargeStep => ({
  entry: entryOf(row),
  erased: row['erased_hash'] !== null,
});
