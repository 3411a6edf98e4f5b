/**
 * Writes a part: a file of the archive. It is written under another name, read back and compared, synchronized with the
 * disk, renamed, and then recorded. What a killed process has not recorded is written again, to another file.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EntryFile, EntryFileWriter, measureFile } from '../archive/entry-file.ts';
import { type EntryRow, entryRowList, RowsDigest } from '../archive/entry-row.ts';
import { rowOf } from '../archive/parquet-columns.ts';
import { KEY_BYTES } from '../archive/personal-seal.ts';
import { binaryArray } from '../pg/binary-array.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { KIND_CODES } from '../store/tables/codes.ts';
import type { Candidate } from './candidates.ts';

export type Part = { readonly month: string; readonly part: number; readonly name: string };

/** Under a name that no other file has: a restored copy of the database may share the directory. */
export const partOf = (month: string, part: number): Part => ({
  month,
  part,
  name: `entries-${month}-${String(part).padStart(4, '0')}-${randomBytes(4).toString('hex')}.parquet`,
});

/** Entries that one query reads. */
const WINDOW = 4_000n;

/** Writes and records a part. Resolves to the number of its entries: with 0 there is no file. */
export async function writePart(
  em: () => Em,
  directory: string,
  { month, part, name }: Part,
  candidates: readonly Candidate[],
): Promise<number> {
  await makeKeys(em(), candidates);
  const path = join(directory, name);
  const unfinished = `${path}.unfinished`;
  await mkdir(directory, { recursive: true });
  let written: Written;
  try {
    written = await writeEntries(em, unfinished, candidates);
    if (written.entries === 0) return 0;
    await compareFile(unfinished, written);
    await syncFile(unfinished);
    await rename(unfinished, path);
  } finally {
    // Where it has not got its name, as on a full disk, which repeated runs would fill further.
    await rm(unfinished, { force: true });
  }
  await syncFile(dirname(path));
  const { bytes, sha256 } = await measureFile(path);
  await query(
    em(),
    `insert into archive_files (name, month, part, first_account, last_account, entries, bytes, sha256)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [name, month, part, written.first, written.last, written.entries, bytes, sha256],
  );
  return written.entries;
}

/** Each account has a key before anything of it is read: an erasure that begins afterwards deletes it. */
async function makeKeys(em: Em, candidates: readonly Candidate[]) {
  await query(
    em,
    `insert into archived_accounts (account_id, seq, requests_seq, key)
     select account_id, 0, 0, key from unnest($1::text[], $2::bytea[]) as n(account_id, key)
     on conflict do nothing`,
    [
      binaryArray('text', candidates, ({ accountId }) => accountId),
      binaryArray('bytea', candidates, () => randomBytes(KEY_BYTES)),
    ],
  );
}

type Written = {
  entries: number;
  /** First and last account, by bytes. */
  first: string;
  last: string;
  readonly digest: RowsDigest;
  readonly keys: Map<string, Uint8Array>;
};

async function writeEntries(
  em: () => Em,
  path: string,
  candidates: readonly Candidate[],
): Promise<Written> {
  const file = new EntryFileWriter(path);
  const written: Written = {
    entries: 0,
    first: '',
    last: '',
    digest: new RowsDigest(),
    keys: new Map(),
  };
  for (const window of windowsOf(candidates)) {
    for (const { personal_hash: personalHash, key, ...row } of await readWindow(em(), window)) {
      const accountId = row.account_id as string;
      file.add({ row: row as EntryRow, key, personalHash });
      written.digest.add(row as EntryRow);
      written.keys.set(accountId, key);
      if (written.entries === 0 || accountId < written.first) written.first = accountId;
      if (accountId > written.last) written.last = accountId;
      written.entries += 1;
    }
  }
  file.finish();
  return written;
}

/** The candidates in pieces of at most WINDOW entries, in their order. */
function* windowsOf(candidates: readonly Candidate[]): Generator<readonly Candidate[]> {
  let window: Candidate[] = [];
  let room = WINDOW;
  for (const { accountId, after: first, upTo } of candidates)
    for (let after = first; after < upTo; ) {
      const end = upTo - after < room ? upTo : after + room;
      window.push({ accountId, after, upTo: end });
      room -= end - after;
      after = end;
      if (room > 0n) continue;
      yield window;
      window = [];
      room = WINDOW;
    }
  if (window.length > 0) yield window;
}

type ReadRow = Record<string, unknown> & {
  readonly account_id: string;
  readonly key: Buffer;
  readonly personal_hash: Buffer;
};

/** With the keys as they are at the same moment: where an erasure has begun, nothing is read. */
async function readWindow(em: Em, window: readonly Candidate[]): Promise<readonly ReadRow[]> {
  return await query<ReadRow>(
    em,
    `select ${entryRowList('e')}, b.key,
       personal_hash(e.salt, e.fingerprint, e.response, e.reference, e.personal) as personal_hash
     from unnest($1::text[], $2::bigint[], $3::bigint[]) with ordinality as n(account_id, after, up_to, place)
     join archived_accounts b on b.account_id = n.account_id and b.key is not null
     join accounts a on a.account_id = n.account_id
     join entries e on e.account_id = n.account_id and e.seq > n.after and e.seq <= n.up_to
     where a.state <> 'CLOSED' or not exists (
       select from entries x where x.account_id = n.account_id and x.seq > n.after
         and x.kind = ${KIND_CODES.ERASE_ACCOUNT_DATA})
     order by n.place, e.seq`,
    [
      binaryArray('text', window, ({ accountId }) => accountId),
      binaryArray('bigint', window, ({ after }) => after),
      binaryArray('bigint', window, ({ upTo }) => upTo),
    ],
  );
}

/** Rows are deleted only if the file has every one of them, as it was read. */
async function compareFile(path: string, { digest, entries, keys }: Written) {
  const file = await EntryFile.open(path);
  const found = new RowsDigest();
  let count = 0;
  for await (const rows of file.groups())
    for (const stored of rows) {
      found.add(rowOf(stored, keys.get(stored['account_id'] as string) ?? null));
      count += 1;
    }
  if (count !== entries || found.digest() !== digest.digest())
    throw new Error(`${path} does not have the entries that were written to it`);
}

/** A directory as well: that makes the name of a file last. */
async function syncFile(path: string) {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
