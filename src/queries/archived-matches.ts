/** Archived entries that have an id, with the first entries of their requests. */
import type { Archive } from '../archive/archive.ts';
import type { EntryRow } from '../archive/entry-row.ts';
import { type Id, type IdColumn, uuidBytes } from '../archive/parquet-columns.ts';
import type { Em } from '../pg/orm.ts';
import { requestIdToBytes } from '../store/tables/request-id.ts';
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
  const all = new Map(
    [...found, ...ofRequests].map((row) => [`${row.account_id} ${row.seq}`, row]),
  );
  return [...all.values()];
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
