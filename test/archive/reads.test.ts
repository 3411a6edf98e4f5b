/** What RPCs say of an account is the same before and after its entries are archived, whatever the history. */

import '../../src/telemetry/sdk.ts';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ScripError } from '../../src/client.ts';
import { type Entry, Entry_Kind } from '../../src/gen/billing/v1/ledger.ts';
import type { TraceChargeRequest } from '../../src/gen/billing/v1/operator_service.ts';
import { DAY, defined, entriesOf } from '../accounts.ts';
import {
  EVENTFUL,
  labelsOf,
  makeHistory,
  referenceOf,
  steps,
  traceOf,
} from '../rpc/random-history.ts';
import { startTestService, type TestService } from '../service.ts';
import { archiveLedger, temporaryDirectory } from './archiving.ts';

const START = Date.parse('2024-01-10T12:00:00Z');
const directory = temporaryDirectory();

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({
    plans: [EVENTFUL],
    frozenAt: START,
    env: { ARCHIVE_DIRECTORY: directory },
  });
});
afterAll(() => scrip.stop());

/** A filter of ListEntries and StreamHistory for each field. */
const filtersOf = (entries: readonly Entry[]) => {
  const some = <Value>(values: readonly Value[]) => values.filter(Boolean).slice(0, 4);
  return [
    {},
    { kinds: [Entry_Kind.CHARGE, Entry_Kind.REFUND] },
    { operation: 'job' },
    { labels: new Map(labelsOf(2)) },
    { labelKeys: ['team'] },
    // Which every object of JavaScript has.
    { labelKeys: ['constructor'] },
    { reference: referenceOf(1) },
    { traceId: traceOf(1) },
    { from: entries[3]?.at, to: entries.at(-3)?.at },
    ...some(entries.map(({ reservationId }) => reservationId)).map((reservationId) => ({
      reservationId,
    })),
    ...some(entries.map(({ requestId }) => requestId)).map((requestId) => ({ requestId })),
  ];
};

/** All that RPCs say of the entries up to a seq. */
async function readAll(accountId: string, upTo: bigint, now: number) {
  const { billing, statements, operator } = scrip;
  const isOld = ({ seq }: Entry) => seq <= upTo;
  const entries = (await entriesOf(scrip, accountId)).filter(isOld);
  const said: Record<string, unknown> = { entries };
  for (const [index, filter] of filtersOf(entries).entries()) {
    const listed: Entry[] = [];
    for (let pageToken = ''; ; ) {
      const beforeSeq = upTo + 1n;
      const page = await billing.listEntries({
        accountId,
        pageSize: 7,
        pageToken,
        beforeSeq,
        ...filter,
      });
      listed.push(...page.entries);
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    said[`list ${index}`] = listed;
    if (!('requestId' in filter))
      said[`stream ${index}`] = (await entriesOf(scrip, accountId, filter)).filter(isOld);
  }
  for (const { seq, at } of entries) {
    const point = { $case: 'seq' as const, value: seq };
    said[`after ${seq}`] = await billing.getPastBalance({ accountId, point, includeBuckets: true });
    const before = new Date(defined(at).getTime() - 1);
    if (seq > 1n && before >= defined(entries[0]?.at))
      said[`before ${seq}`] = await billing.getPastBalance({
        accountId,
        point: { $case: 'at', value: before },
        includeBuckets: false,
      });
    said[`path ${seq}`] = await pathOf({ accountId, id: { $case: 'entrySeq', value: seq } });
  }
  const reservationIds = new Set(entries.flatMap(({ reservationId }) => reservationId || []));
  for (const reservationId of reservationIds) {
    said[reservationId] = await billing.getReservation({ accountId, reservationId });
    said[`path ${reservationId}`] = await pathOf({
      accountId: '',
      id: { $case: 'reservationId', value: reservationId },
    });
  }
  for (const { requestId } of entries)
    if (requestId)
      said[`request ${requestId}`] = await pathOf({
        accountId: '',
        id: { $case: 'requestId', value: requestId },
      });
  said['reservations'] = (await billing.listReservations({ accountId })).reservations;
  said['traces'] = await pathOf({ accountId, id: { $case: 'traceId', value: traceOf(2) } });
  for (let at = defined(entries[0]?.at).getTime(); at < now; at += 28 * DAY) {
    const month = new Date(at).toISOString().slice(0, 7);
    const { statement } = await statements.getStatement({ accountId, month });
    // Of the running month, it counts the checkpoints.
    said[`statement ${month}`] = { ...statement, lastSeq: undefined, closedAt: undefined };
  }
  return said;

  async function pathOf(request: Partial<TraceChargeRequest>) {
    try {
      const { paths, candidates } = await operator.traceCharge({ pageSize: 100, ...request });
      return { paths, candidates };
    } catch (error) {
      return (error as ScripError).reason;
    }
  }
}

test('RPCs say the same of what is archived', async () => {
  await fc.assert(
    fc.asyncProperty(steps(40), async (all) => {
      const accountId = await makeHistory(scrip, all);
      scrip.advance(33 * DAY);
      await scrip.service.sweep();
      await scrip.service.countUsage();
      await scrip.service.countMovements();
      const now = scrip.now();
      const upTo = defined((await entriesOf(scrip, accountId)).at(-1)).seq;
      const before = await readAll(accountId, upTo, now);
      const month = new Date(now - 10 * DAY).toISOString().slice(0, 7);
      await archiveLedger(scrip, directory, month, { partMax: 30 });
      const after = await readAll(accountId, upTo, now);
      for (const [read, said] of Object.entries(before)) expect(after[read], read).toEqual(said);
    }),
    // Each reads what was said of every entry twice. A failure is not made smaller: that takes hours.
    { numRuns: 1, endOnFailure: true },
  );
});
