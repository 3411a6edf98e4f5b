/** Entries are found by an index or in the order of their seqs, and a bounded number is read, however many there are. */

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Archive } from '../../src/archive/archive.ts';
import { connect, type Orm } from '../../src/pg/orm.ts';
import { findNewestEntries } from '../../src/queries/entries.ts';
import { type EntryFilter, NO_FILTER } from '../../src/queries/entry-filter.ts';
import { entities } from '../../src/store/tables/index.ts';
import { openWithCredits } from '../accounts.ts';
import { execute } from '../postgres.ts';
import { requestId, startTestService } from '../service.ts';
import { explain, rowsRead, type Sent } from './explained.ts';

const sent: Sent[] = [];
vi.mock('../../src/pg/query.ts', async (original) => {
  const real = await original<typeof import('../../src/pg/query.ts')>();
  const recorded: typeof real.query = (em, text, parameters) => {
    sent.push({ text, parameters: [...parameters] });
    return real.query(em, text, parameters);
  };
  return { ...real, query: recorded };
});

/** More than one page looks through. */
const ENTRIES = 50_000n;
const PASSED_MAX = 20_000n;
const LIMIT = 11;

let orm: Orm;
let accountId: string;
/** A request that wrote the entries 45,001 to 45,003. */
const asked = requestId();
const reservationId = requestId();
const traceId = 'ab'.repeat(16);

beforeAll(async () => {
  const scrip = await startTestService();
  accountId = await openWithCredits(scrip, 100n);
  await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  const { databaseUrl } = scrip;
  await scrip.stop();
  // Copies of the charge. Every ten thousandth has a rare reference, label, reservation and trace.
  await execute(
    databaseUrl,
    `insert into entries
     select copy.* from entries e, generate_series(4, ${ENTRIES}) n, jsonb_populate_record(e,
       jsonb_build_object('seq', n, 'reference', 'common', 'trace_id', null, 'request_id', null, 'method', null,
         'fingerprint', null, 'response', null, 'personal', '{"labels": {"all": "1"}}'::jsonb)
       || case when n % 10000 = 5 then jsonb_build_object(
         'reference', 'rare', 'reservation_id', $2::uuid, 'trace_id', $3::uuid,
         'personal', '{"labels": {"all": "1", "rare": "yes"}}'::jsonb) else '{}' end) copy
     where e.account_id = $1 and e.seq = 3`,
    [accountId, reservationId, traceId],
  );
  await execute(
    databaseUrl,
    `update entries e set request_id = request_id_to_bytes($2), method = case when e.seq = 45001 then c.method end
     from entries c
     where e.account_id = $1 and e.seq between 45001 and 45003 and c.account_id = $1 and c.seq = 3`,
    [accountId, asked],
  );
  await execute(databaseUrl, 'update accounts set seq = $2 where account_id = $1', [
    accountId,
    ENTRIES,
  ]);
  orm = await connect(databaseUrl, entities, 1, 30_000);
});
afterAll(() => orm.close());

/** The seqs of a page, and what its SQL statements have read. */
async function list(filter: Partial<EntryFilter>, upToSeq = ENTRIES, limit = LIMIT) {
  const em = orm.em.fork();
  sent.splice(0);
  const range = { accountId, afterSeq: 0n, upToSeq };
  const found = await findNewestEntries(
    em,
    new Archive(null),
    range,
    { ...NO_FILTER, ...filter },
    limit,
  );
  const nodes = await explain(em, sent.splice(0));
  const reads = nodes.filter((node) => node['Relation Name'] === 'entries');
  for (const read of reads) expect(read['Node Type']).not.toBe('Seq Scan');
  return {
    seqs: found.entries.map(({ seq }) => seq),
    lookedDownTo: found.lookedDownTo,
    read: rowsRead(nodes, 'entries'),
  };
}

const RARE = [40_005n, 30_005n, 20_005n, 10_005n, 5n];

test('a page reads as many entries as were asked for', async () => {
  const { seqs, read } = await list({});
  expect(seqs).toEqual(Array.from({ length: LIMIT }, (_, index) => ENTRIES - BigInt(index)));
  expect(read).toBe(LIMIT);
});

describe.each([
  ['a reservation', { reservationId }, RARE],
  ['a trace', { traceId }, RARE],
  ['a rare reference', { reference: 'rare' }, RARE],
  ['a trace and a label', { traceId, labelKeys: ['rare'] }, RARE],
  ['a request', { requestId: asked }, [45_003n, 45_002n, 45_001n]],
  ['an unknown reservation', { reservationId: requestId() }, []],
] as const)('The entries of %s', (_, filter, expected) => {
  test('are found at once, without looking through the account', async () => {
    const { seqs, lookedDownTo, read } = await list(filter as Partial<EntryFilter>);
    expect(seqs).toEqual(expected);
    expect(lookedDownTo).toBeNull();
    // Once to know that there are few, and once to read them. Of a request also its first entry, and up to the one
    // after its last.
    expect(read).toBeLessThanOrEqual(2 * (2 * expected.length + 1));
  });
});

test('a page of a reference that very many entries have reads few of them', async () => {
  const { seqs } = await list({ reference: 'common' });
  expect(seqs).toHaveLength(LIMIT);
  const [, page] = await plansOf({ reference: 'common' });
  expect(page).toBeLessThanOrEqual(LIMIT);
});

/** Rows that each of the SQL statements of a page has read. */
async function plansOf(filter: Partial<EntryFilter>): Promise<readonly number[]> {
  const em = orm.em.fork();
  sent.splice(0);
  const range = { accountId, afterSeq: 0n, upToSeq: ENTRIES };
  await findNewestEntries(em, new Archive(null), range, { ...NO_FILTER, ...filter }, LIMIT);
  const read: number[] = [];
  // Those that look for what is archived read no entries.
  for (const one of sent.splice(0).filter(({ text }) => !text.includes('archived_accounts')))
    read.push(rowsRead(await explain(em, [one]), 'entries'));
  return read;
}

test('a page by label looks through a bounded number, and tells where to go on', async () => {
  const seen: bigint[] = [];
  let pages = 0;
  for (let upTo: bigint | null = ENTRIES; upTo !== null; pages++) {
    const page: Awaited<ReturnType<typeof list>> = await list({ labels: { rare: 'yes' } }, upTo);
    expect(page.read).toBeLessThanOrEqual(Number(PASSED_MAX));
    seen.push(...page.seqs);
    upTo = page.lookedDownTo;
  }
  expect(seen).toEqual(RARE);
  expect(pages).toBe(3);
});
