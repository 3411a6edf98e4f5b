/**
 * Takes the entries of a recorded file out of the database: their requests are remembered, a checkpoint of each account
 * seals what is archived, and the rows are deleted in batches. Every step can be repeated.
 */
import type { EntryFile } from '../archive/entry-file.ts';
import type { FileRow } from '../archive/parquet-columns.ts';
import { Failure } from '../failure.ts';
import { forEachConcurrently } from '../for-each-concurrently.ts';
import type { Checkpoint } from '../ledger/rules/checkpoint.ts';
import { binaryArray } from '../pg/binary-array.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { archivedRequestKey } from '../store/tables/request-id.ts';
import { keyRows, keysOf } from './request-keys.ts';

/** Appends the checkpoint of an account; the Failure, where it could not. */
export type WriteCheckpoint = (
  accountId: string,
  command: Checkpoint,
) => Promise<Failure | { readonly entrySeq: bigint }>;

export type FinishOptions = {
  readonly em: () => Em;
  readonly file: EntryFile;
  readonly name: string;
  readonly writeCheckpoint: WriteCheckpoint;
  /** An entry stays where its reservation expired after that, in epoch milliseconds: it may be committed late. */
  readonly lateAfter: number;
};

/** Checkpoints that are on their way at the same time: units of work gather them. */
const CONCURRENCY = 64;

/** Resolves to the number of rows that were deleted. */
export async function finishPart(options: FinishOptions): Promise<number> {
  const { em, file, name } = options;
  const accounts = await rememberRequests(em, file);
  await writeCheckpoints(options, accounts);
  let deleted = 0;
  for await (const rows of file.groups()) deleted += await deleteRows(options, endsOf(rows));
  await query(em(), 'update archive_files set finished_at = now() where name = $1', [name]);
  return deleted;
}

/** The last entry of an account, in a file or a piece of it. */
type End = {
  readonly accountId: string;
  readonly seq: bigint;
  readonly at: Date;
  readonly hash: Uint8Array;
};

const endsOf = (rows: readonly FileRow[]): readonly End[] => {
  const ends = new Map<string, End>();
  for (const row of rows) {
    const accountId = row['account_id'] as string;
    const [seq, at, hash] = [row['seq'], row['at'], row['hash']];
    ends.set(accountId, {
      accountId,
      seq: seq as bigint,
      at: at as Date,
      hash: hash as Uint8Array,
    });
  }
  return [...ends.values()];
};

type Archived = End & { readonly keys: readonly Buffer[] };

/** Keys of one transaction, unless one account has more: all of its earlier keys are read and written with them. */
const KEYS_MAX = 20_000;

/** Remembers the requests of all entries of the file. Resolves to the last entry of each account. */
async function rememberRequests(em: () => Em, file: EntryFile): Promise<readonly End[]> {
  const keys = new Map<string, Buffer[]>();
  const ends = new Map<string, End>();
  for await (const rows of file.groups()) {
    for (const end of endsOf(rows)) ends.set(end.accountId, end);
    for (const row of rows) {
      const [method, requestId] = [row['method'] ?? null, row['request_id'] ?? null];
      if (method === null || requestId === null) continue;
      const key = archivedRequestKey(method as number, requestId as Uint8Array);
      const accountId = row['account_id'] as string;
      const ofAccount = keys.get(accountId);
      if (ofAccount) ofAccount.push(key);
      else keys.set(accountId, [key]);
    }
  }
  let batch: Archived[] = [];
  let count = 0;
  const addBatch = async () => {
    await em().transactional((em) => addKeys(em, batch));
    [batch, count] = [[], 0];
  };
  for (const end of ends.values()) {
    const ofAccount = keys.get(end.accountId) ?? [];
    batch.push({ ...end, keys: ofAccount });
    count += ofAccount.length;
    if (count >= KEYS_MAX) await addBatch();
  }
  if (batch.length > 0) await addBatch();
  return [...ends.values()];
}

/** One archiver works on a database at a time: see archiver.ts. */
async function addKeys(em: Em, accounts: readonly Archived[]) {
  const moved = await query<{ account_id: string }>(
    em,
    `update archived_accounts a set requests_seq = n.seq
     from unnest($1::text[], $2::bigint[]) as n(account_id, seq)
     where a.account_id = n.account_id and a.requests_seq < n.seq
     returning a.account_id`,
    [
      binaryArray('text', accounts, ({ accountId }) => accountId),
      binaryArray('bigint', accounts, ({ seq }) => seq),
    ],
  );
  const accountIds = new Set(moved.map((row) => row.account_id));
  const before = await query<{ account_id: string; keys: Buffer }>(
    em,
    'delete from archived_requests where account_id = any($1::text[]) returning account_id, keys',
    [[...accountIds]],
  );
  const known = Map.groupBy(before, (row) => row.account_id);
  const rows = accounts.flatMap(({ accountId, keys }) => {
    if (!accountIds.has(accountId)) return [];
    const earlier = (known.get(accountId) ?? []).flatMap((row) => keysOf(row.keys));
    return keyRows([...earlier, ...keys]).map((row) => ({ accountId, ...row }));
  });
  await query(
    em,
    `insert into archived_requests (account_id, first_key, keys)
     select * from unnest($1::text[], $2::bytea[], $3::bytea[])`,
    [
      binaryArray('text', rows, ({ accountId }) => accountId),
      binaryArray('bytea', rows, ({ firstKey }) => firstKey),
      binaryArray('bytea', rows, ({ keys }) => keys),
    ],
  );
}

async function writeCheckpoints(
  { em, writeCheckpoint }: FinishOptions,
  accounts: readonly End[],
): Promise<void> {
  const sealed = await query<{ account_id: string; archived_seq: string }>(
    em(),
    `select account_id, archived_seq from accounts
     where account_id = any($1::text[]) and archived_seq is not null`,
    [accounts.map(({ accountId }) => accountId)],
  );
  const upTo = new Map(sealed.map((row) => [row.account_id, BigInt(row.archived_seq)]));
  const open = accounts.filter(({ accountId, seq }) => (upTo.get(accountId) ?? 0n) < seq);
  const failed: { readonly accountId: string; readonly failure: Failure }[] = [];
  await forEachConcurrently(open, CONCURRENCY, null, async ({ accountId, seq, hash }) => {
    const archivedHash = Buffer.from(hash).toString('hex');
    const command = { kind: 'Checkpoint', archivedSeq: seq, archivedHash } as const;
    const answer = await writeCheckpoint(accountId, command);
    if (answer instanceof Failure) failed.push({ accountId, failure: answer });
  });
  const [first] = failed;
  if (first)
    throw new Error(
      `${failed.length} accounts have no checkpoint, such as ${first.accountId}: ${first.failure.message}`,
    );
}

/**
 * Deletes the rows up to these entries, which checkpoints cover. Those of a job that goes on stay until it is archived as
 * a whole: reads of one reservation find all its entries, or none. The same holds for what a later entry refunds.
 */
async function deleteRows({ em, lateAfter }: FinishOptions, ends: readonly End[]): Promise<number> {
  const [row] = await query<{ deleted: number }>(
    em(),
    `with moved as (
       update archived_accounts b set seq = n.seq, at = n.at
       from unnest($1::text[], $2::bigint[], $3::timestamptz[]) as n(account_id, seq, at)
       join accounts a on a.account_id = n.account_id and a.archived_seq >= n.seq
       where b.account_id = n.account_id and b.seq < n.seq and b.requests_seq >= n.seq
       returning b.account_id, b.seq
     ), deleted as (
       delete from entries e using moved m
       where e.account_id = m.account_id and e.seq <= m.seq
         and not exists (
           select from entries f where f.account_id = e.account_id and f.refunded_seq = e.seq and f.seq > m.seq)
         and (e.reservation_id is null or not exists (
           select from entries f
           where f.reservation_id = e.reservation_id and f.account_id = e.account_id and f.seq > m.seq))
         and (e.reservation_id is null or not exists (
           select from reservations r
           where r.account_id = e.account_id and r.reservation_id = e.reservation_id
             and (r.state = 1 or r.expires_at > $4)))
       returning 1
     )
     select count(*)::int as deleted from deleted`,
    [
      binaryArray('text', ends, ({ accountId }) => accountId),
      binaryArray('bigint', ends, ({ seq }) => seq),
      binaryArray('instant', ends, ({ at }) => at.getTime()),
      new Date(lateAfter).toISOString(),
    ],
  );
  return row?.deleted ?? 0;
}
