/** ListEntries: newest first, page by page, and the filters that it shares with StreamHistory. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListEntriesRequest } from '../../src/gen/billing/v1/billing_service.ts';
import { type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import { mapOf } from '../../src/map-of.ts';
import {
  DAY,
  defined,
  entriesOf,
  grant,
  HOUR,
  openWithCredits,
  reserveCredits,
} from '../accounts.ts';
import { SEEDS } from '../fuzz-seeds.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';
import { EVENTFUL, makeHistory, referenceOf, steps, traceOf } from './random-history.ts';

const NOW = Date.parse('2031-03-10T12:00:00Z');

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), EVENTFUL], frozenAt: NOW });
});
afterAll(() => scrip.stop());

type Filter = Partial<Omit<ListEntriesRequest, 'accountId' | 'pageSize' | 'pageToken'>>;

/** All pages of a list. */
async function list(accountId: string, filter: Filter = {}, pageSize = 1_000): Promise<Entry[]> {
  const entries: Entry[] = [];
  let pageToken = '';
  do {
    const page = await scrip.billing.listEntries({ accountId, pageSize, pageToken, ...filter });
    expect(page.entries.length).toBeLessThanOrEqual(pageSize);
    entries.push(...page.entries);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return entries;
}

const seqs = (entries: readonly Entry[]): readonly bigint[] => entries.map(({ seq }) => seq);
const timeOf = (entry: Entry): number => defined(entry.at).getTime();

test('entries are those of StreamHistory, newest first, whatever the size of the pages', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  for (let times = 0; times < 8; times++)
    await scrip.billing.charge({ accountId, requestId: requestId(), credits: 1n });
  const newestFirst = (await entriesOf(scrip, accountId)).toReversed();
  expect(newestFirst).toHaveLength(10);
  for (const pageSize of [1, 3, 9, 10, 11, 0])
    expect(await list(accountId, {}, pageSize || 50)).toEqual(newestFirst);
});

test('a page has as many entries as were asked for', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  const page = await scrip.billing.listEntries({ accountId, pageSize: 1 });
  expect(seqs(page.entries)).toEqual([2n]);
});

test('entries that are written meanwhile move no page', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  await reserveCredits(scrip, accountId, 1n);
  const first = await scrip.billing.listEntries({ accountId, pageSize: 1 });
  await reserveCredits(scrip, accountId, 1n);
  const pageToken = first.nextPageToken;
  const second = await scrip.billing.listEntries({ accountId, pageSize: 5, pageToken });
  expect(seqs([...first.entries, ...second.entries])).toEqual([3n, 2n, 1n]);
});

describe('A filter', () => {
  /** By what the entries say, as a reader of all of them would choose. */
  const filtersOf = (
    entries: readonly Entry[],
  ): readonly (readonly [Filter, (entry: Entry) => boolean])[] => {
    const middle = defined(entries[Math.floor(entries.length / 2)]);
    const reservationId =
      entries.find((entry) => entry.reservationId)?.reservationId ?? requestId();
    const ofRequest = entries.findLast((entry) => entry.kind === Entry_Kind.REFUND) ?? middle;
    const asked = ofRequest.requestId || requestId();
    const { CHARGE, REFUND } = Entry_Kind;
    return [
      [{ reservationId }, (entry) => entry.reservationId === reservationId],
      [{ reservationId: reservationId.toUpperCase() }, (e) => e.reservationId === reservationId],
      [{ entryRequestId: asked }, (entry) => entry.requestId === asked],
      [{ traceId: traceOf(1) }, (entry) => entry.traceId === traceOf(1)],
      [{ traceId: 'f'.repeat(32) }, () => false],
      [{ reference: referenceOf(1) }, (entry) => entry.reference === referenceOf(1)],
      [{ labels: mapOf({ team: '2' }) }, (entry) => entry.labels.get('team') === '2'],
      [
        { labels: mapOf({ team: '2', all: 'yes' }) },
        ({ labels }) => labels.get('team') === '2' && labels.get('all') === 'yes',
      ],
      [{ labels: mapOf({ team: 'yes' }) }, () => false],
      [{ labelKeys: ['team'] }, (entry) => entry.labels.has('team')],
      [{ labelKeys: ['all', 'team'] }, (entry) => entry.labels.has('team')],
      [{ labelKeys: ['2'] }, () => false],
      [{ kinds: [CHARGE, REFUND] }, ({ kind }) => kind === CHARGE || kind === REFUND],
      [{ from: defined(middle.at) }, (entry) => timeOf(entry) >= timeOf(middle)],
      [{ to: defined(middle.at) }, (entry) => timeOf(entry) < timeOf(middle)],
      [
        { traceId: traceOf(1), labelKeys: ['all'], to: defined(middle.at) },
        (e) => e.traceId === traceOf(1) && e.labels.has('all') && timeOf(e) < timeOf(middle),
      ],
      [
        { traceId: traceOf(1), reference: referenceOf(1) },
        (entry) => entry.traceId === traceOf(1) && entry.reference === referenceOf(1),
      ],
    ];
  };

  test.each(SEEDS)('finds what it says in any history, both ways (seed %i)', async (seed) => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(steps(40), fc.integer({ min: 1, max: 7 }), async (all, pageSize) => {
        const accountId = await makeHistory(scrip, all);
        const entries = await entriesOf(scrip, accountId);
        for (const [filter, matches] of filtersOf(entries)) {
          const expected = seqs(entries.filter(matches));
          found += expected.length;
          expect(seqs(await list(accountId, filter, pageSize))).toEqual(expected.toReversed());
          expect(seqs(await entriesOf(scrip, accountId, filter))).toEqual(expected);
        }
      }),
      { seed, numRuns: 6 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test('by request finds all entries that it wrote, and no others, of whatever method', async () => {
    const accountId = await scrip.open('eventful');
    const charged = { accountId, requestId: requestId(), credits: 20n };
    const { entrySeq: seq } = await scrip.billing.charge(charged);
    scrip.advance(2 * DAY);
    const refund = { accountId, seq, credits: 5n, reason: 'a test' };
    // The method is another: the request id may be the same.
    await scrip.billing.refund({ ...refund, requestId: charged.requestId });
    await grant(scrip, accountId, 1n);
    const entries = await entriesOf(scrip, accountId);
    const { CHARGE, REFUND, GRANT } = Entry_Kind;
    const written = await list(accountId, { entryRequestId: charged.requestId });
    expect(written.map(({ kind }) => kind)).toEqual([GRANT, REFUND, CHARGE]);
    expect(written).toEqual(
      entries.filter((entry) => entry.requestId === charged.requestId).toReversed(),
    );
  });

  test('of another account finds nothing', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const otherId = await openWithCredits(scrip, 100n);
    const reservationId = await reserveCredits(scrip, otherId, 1n);
    expect(await list(accountId, { reservationId })).toEqual([]);
    expect(await list(otherId, { reservationId })).toHaveLength(1);
  });

  test('before a seq begins there, and combines with the others', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    for (let times = 0; times < 3; times++) await reserveCredits(scrip, accountId, 1n);
    const { RESERVE } = Entry_Kind;
    expect(seqs(await list(accountId, { beforeSeq: 4n }, 2))).toEqual([3n, 2n, 1n]);
    expect(seqs(await list(accountId, { beforeSeq: 1n }))).toEqual([]);
    expect(seqs(await list(accountId, { beforeSeq: 99n }, 2))).toEqual([5n, 4n, 3n, 2n, 1n]);
    expect(seqs(await list(accountId, { beforeSeq: 5n, kinds: [RESERVE] }, 1))).toEqual([4n, 3n]);
  });

  test('of an instant that is yet to come finds nothing, or excludes nothing', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const later = new Date(scrip.now() + HOUR);
    expect(await list(accountId, { from: later })).toEqual([]);
    expect(seqs(await list(accountId, { to: later }, 1))).toEqual([2n, 1n]);
  });

  test('that is followed lets new entries through that match', async () => {
    const accountId = await openWithCredits(scrip, 100n);
    const labels = mapOf({ team: 'media' });
    const charge = (label: ReadonlyMap<string, string>) =>
      scrip.billing.charge({
        accountId,
        requestId: requestId(),
        credits: 1n,
        labels: new Map(label),
      });
    await charge(labels);
    const stream = scrip.billing.streamHistory({ accountId, labels, follow: true });
    const seen: bigint[] = [];
    let isWritten = false;
    for await (const { entries } of stream) {
      seen.push(...seqs(entries));
      if (seen.length === 2) break;
      if (!isWritten && seen.length === 1) {
        isWritten = true;
        await charge(new Map());
        await charge(labels);
      }
    }
    expect(seen).toEqual([3n, 5n]);
  });
});

test.each([
  ['reservation_id', { reservationId: 'r' }],
  ['entry_request_id', { entryRequestId: '\u0000' }],
  ['trace_id', { traceId: '0'.repeat(32) }],
  ['trace_id', { traceId: 'xyz' }],
  ['label_keys[1]', { labelKeys: ['a', ''] }],
  ['label_keys', { labelKeys: Array.from({ length: 17 }, (_, index) => `${index}`) }],
  ['labels["a"]', { labels: mapOf({ a: 'x'.repeat(257) }) }],
  ['before_seq', { beforeSeq: -1n }],
  ['page_size', { pageSize: -1 }],
  ['to', { from: new Date(2_000), to: new Date(1_000) }],
  ['reference', { reference: 'x'.repeat(257) }],
] as const)('a bad filter is refused with its path: %s', async (field, filter) => {
  const accountId = await scrip.open('verts');
  const request = { accountId, ...filter } as Partial<ListEntriesRequest>;
  const error = await errorOf(scrip.billing.listEntries(request));
  expect(error).toMatchObject({ reason: 'INVALID_FIELD', fields: [field] });
});

test('of an account that does not exist it fails', async () => {
  const error = await errorOf(scrip.billing.listEntries({ accountId: 'nobody' }));
  expect(error.reason).toBe('ACCOUNT_NOT_FOUND');
});
