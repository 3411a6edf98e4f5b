/** Archived entries that have an id, with the first entries of their requests. */
import type { Archive } from '../archive/archive.ts';
import { type EntryRow, entryOf } from '../archive/entry-row.ts';
import { type Id, type IdColumn, uuidBytes } from '../archive/parquet-columns.ts';
import { returnsForLateUsage } from '../ledger/expired-allowances.ts';
import type { Em } from '../pg/orm.ts';
import { requestIdToBytes } from '../store/tables/request-id.ts';
import { RETURNED_MAX } from './archived-steps.ts';
import type { ChargeId, ChargeQuery } from './found-charges.ts';

/** How files find an id without an account. A reference is personal: files have it encrypted. */
const COLUMNS: Partial<Record<ChargeId['kind'], IdColumn>> = {
  traceId: 'trace_id',
  reservationId: 'reservation_id',
  requestId: 'request_id',
  purchaseId: 'purchase_id',
};

const idOf = ({ kind, value }: ChargeId): Id =>
  kind === 'requestId' ? requestIdToBytes(value) : uuidBytes(value);

export async function findArchivedMatches(
  em: Em,
  archive: Archive,
  { id, accountId }: Pick<ChargeQuery, 'id' | 'accountId'>,
): Promise<readonly EntryRow[]> {
  const found = await findOwn(em, archive, id, accountId);
  const requests = found.flatMap((row) =>
    row['method'] === null && row['request_id'] ? [row['request_id'] as Uint8Array] : [],
  );
  const ofRequests = await archive.find(em, 'request_id', requests, accountId || null);
  const spending = await findSpending(em, archive, found);
  const all = new Map(
    [...found, ...ofRequests, ...spending].map((row) => [`${row.account_id} ${row.seq}`, row]),
  );
  return [...all.values()];
}

/** What spends the credits that these return for late usage. */
async function findSpending(
  em: Em,
  archive: Archive,
  found: readonly EntryRow[],
): Promise<readonly EntryRow[]> {
  const returning = found.map(entryOf).filter(returnsForLateUsage);
  const borders = await archive.bordersOf(em, [
    ...new Set(returning.map(({ accountId }) => accountId)),
  ]);
  const rows: EntryRow[] = [];
  for (const { accountId, seq } of returning) {
    const border = borders.get(accountId);
    const range = { accountId, after: seq, upTo: seq + RETURNED_MAX };
    for (const row of border ? await archive.rows(em, border, range) : []) {
      rows.push(row);
      if (!returnsForLateUsage(entryOf(row))) break;
    }
  }
  return rows;
}

async function findOwn(
  em: Em,
  archive: Archive,
  id: ChargeId,
  accountId: string,
): Promise<readonly EntryRow[]> {
  const column = COLUMNS[id.kind];
  if (column) return await archive.find(em, column, [idOf(id)], accountId || null);
  const border = accountId ? await archive.borderOf(em, accountId) : null;
  if (!border) return [];
  const seq = id.kind === 'seq' ? BigInt(id.value) : null;
  const range = { accountId, after: seq === null ? 0n : seq - 1n, upTo: seq ?? border.seq };
  const rows = await archive.rows(em, border, range);
  return seq === null ? rows.filter((row) => row['reference'] === id.value) : rows;
}
