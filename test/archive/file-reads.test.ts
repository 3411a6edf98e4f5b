/** How much of a file is read: a group of rows at a time, and of a group only what can have what is asked for. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type AsyncBuffer, asyncBufferFromFile } from 'hyparquet';
import { beforeAll, beforeEach, expect, test } from 'vitest';
import { EntryFile, EntryFileWriter, type RangeOptions } from '../../src/archive/entry-file.ts';
import type { EntryRow, RowValue } from '../../src/archive/entry-row.ts';
import { KEY_BYTES } from '../../src/archive/personal-seal.ts';
import { KIND_CODES } from '../../src/store/tables/codes.ts';
import { entries } from '../../src/store/tables/entries.ts';
import { temporaryDirectory } from './archiving.ts';

const GROUP = 4_000;
/** Of the account in the middle, whose entries fill whole groups. */
const ENTRIES = 6 * GROUP;
const RARE_SEQ = 3n * BigInt(GROUP) + 7n;
const CONTENT_BYTES = 200;

/** Each entry has a content that no other has, as compression would hide what is read. */
const entryRow = (accountId: string, seq: number): EntryRow => {
  const columns = entries.columns.map(({ name }): [string, RowValue] => [name, null]);
  return {
    ...Object.fromEntries(columns),
    ...{ account_id: accountId, seq: String(seq), at: 1_700_000_000_000 + seq },
    ...{ hash: randomBytes(32), credits: '0', remaining_after: '0', reserved_after: '0' },
    kind: BigInt(seq) === RARE_SEQ ? KIND_CODES.REFUND : KIND_CODES.CHARGE,
    content: JSON.stringify(randomBytes(CONTENT_BYTES / 2).toString('hex')),
    ...{ plan_id: 'verts', plan_version: 1, rate_card_version: 1, caller: 'test' },
  } as unknown as EntryRow;
};

let whole: AsyncBuffer;
let bytesRead = 0;
let file: EntryFile;
beforeAll(async () => {
  const path = join(temporaryDirectory(), 'file.parquet');
  const writer = new EntryFileWriter(path);
  const key = randomBytes(KEY_BYTES);
  const add = (accountId: string, many: number) => {
    for (let seq = 1; seq <= many; seq++)
      writer.add({ row: entryRow(accountId, seq), key, personalHash: randomBytes(32) });
  };
  for (const [accountId, many] of [
    ['a', GROUP],
    ['b', ENTRIES],
    ['c', GROUP],
  ] as const)
    add(accountId, many);
  writer.finish();
  whole = await asyncBufferFromFile(path);
  file = await EntryFile.of({
    byteLength: whole.byteLength,
    async slice(start, end) {
      const bytes = await whole.slice(start, end);
      bytesRead += bytes.byteLength;
      return bytes;
    },
  });
});
beforeEach(() => {
  bytesRead = 0;
});

const ALL = { accountId: 'b', after: 0n, upTo: BigInt(ENTRIES) };

async function seqsOf(range: typeof ALL, options: RangeOptions = {}): Promise<readonly bigint[]> {
  const seqs: bigint[] = [];
  for await (const rows of file.range(range, options)) {
    expect(rows.length).toBeLessThanOrEqual(GROUP);
    seqs.push(...rows.map(({ seq }) => seq as bigint));
  }
  return seqs;
}

/** Of what a group of the file has on average. */
const groupsRead = () => bytesRead / (whole.byteLength / (ENTRIES / GROUP + 2));

test('the groups of a range come in the order of their seqs, or against it', async () => {
  const seqs = await seqsOf(ALL);
  expect(seqs).toEqual(Array.from({ length: ENTRIES }, (_, index) => BigInt(index + 1)));
  expect(await seqsOf(ALL, { newestFirst: true })).toEqual(seqs.toReversed());
});

test.each([false, true])(
  'a reader that takes one page reads one group (newest first: %s)',
  async (newestFirst) => {
    for await (const rows of file.range(ALL, { newestFirst })) {
      expect(rows[0]?.['seq']).toBe(newestFirst ? BigInt(ENTRIES) : 1n);
      break;
    }
    expect(groupsRead()).toBeGreaterThan(0.5);
    expect(groupsRead()).toBeLessThan(1.5);
  },
);

test('one entry in the middle is found without those before it', async () => {
  expect(await seqsOf({ ...ALL, after: RARE_SEQ - 1n, upTo: RARE_SEQ })).toEqual([RARE_SEQ]);
  expect(groupsRead()).toBeLessThan(1.5);
});

test('of groups without a row of the condition only keys and its columns are read', async () => {
  const where = {
    columns: ['kind'],
    matches: (row: Readonly<Record<string, unknown>>) => row['kind'] === KIND_CODES.REFUND,
  };
  expect(await seqsOf(ALL, { where })).toEqual([RARE_SEQ]);
  expect(groupsRead()).toBeLessThan(2.5);
});

test('some columns of all groups are read without the others', async () => {
  await seqsOf(ALL, { columns: ['seq', 'kind'] });
  expect(groupsRead()).toBeLessThan(1.5);
});
