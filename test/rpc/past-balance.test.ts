/** GetPastBalance: the balance after any entry, and at any instant, is what its moves add up to. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memberName } from '../../src/cli/member-name.ts';
import { Bucket_Kind, type Entry } from '../../src/gen/billing/v1/ledger.ts';
import { balanceOf, DAY, defined, entriesOf, grant, HOUR, openWithCredits } from '../accounts.ts';
import { SEEDS } from '../fuzz-seeds.ts';
import { errorOf } from '../rpc-error.ts';
import { plansOfDeploy, requestId, startTestService, type TestService } from '../service.ts';
import { EVENTFUL, makeHistory, steps } from './random-history.ts';

const NOW = Date.parse('2031-03-10T12:00:00Z');

let scrip: TestService;
beforeAll(async () => {
  scrip = await startTestService({ plans: [...(await plansOfDeploy()), EVENTFUL], frozenAt: NOW });
});
afterAll(() => scrip.stop());

const afterSeq = (accountId: string, seq: bigint, includeBuckets = true) =>
  scrip.billing.getPastBalance({ accountId, point: { $case: 'seq', value: seq }, includeBuckets });
const at = (accountId: string, ms: number, includeBuckets = false) =>
  scrip.billing.getPastBalance({
    accountId,
    point: { $case: 'at', value: new Date(ms) },
    includeBuckets,
  });
const timeOf = (entry: Entry): number => defined(entry.at).getTime();

/** What the buckets hold after the entries, added up move by move. Those that hold nothing are left out. */
function replay(entries: readonly Entry[]): ReadonlyMap<string, bigint> {
  const held = new Map<string, bigint>();
  const add = (bucket: Entry['moves'][number]['from'], credits: bigint) => {
    const { kind, grantId } = defined(bucket);
    const name = `${memberName(Bucket_Kind, kind)} ${grantId}`;
    const sum = (held.get(name) ?? 0n) + credits;
    if (sum === 0n) held.delete(name);
    else held.set(name, sum);
  };
  for (const { from, to, credits } of entries.flatMap(({ moves }) => moves)) {
    add(from, -credits);
    add(to, credits);
  }
  return held;
}

test.each(SEEDS)(
  'after every entry of any history, it is the replay up to it (seed %i)',
  async (seed) => {
    await fc.assert(
      fc.asyncProperty(steps(25), async (all) => {
        const accountId = await makeHistory(scrip, all);
        const entries = await entriesOf(scrip, accountId);
        for (const [index, entry] of entries.entries()) {
          const past = await afterSeq(accountId, entry.seq);
          expect(past).toMatchObject({ seq: entry.seq, recordedAt: entry.at });
          const buckets = past.buckets.map(({ bucket, credits }) => {
            const { kind, grantId } = defined(bucket);
            return [`${memberName(Bucket_Kind, kind)} ${grantId}`, credits] as const;
          });
          expect(new Map(buckets)).toEqual(replay(entries.slice(0, index + 1)));
          expect(buckets.reduce((sum, [, credits]) => sum + credits, 0n)).toBe(0n);
          const sumOf = (...names: readonly string[]) =>
            buckets.reduce(
              (sum, [name, n]) => (names.includes(name.split(' ')[0] ?? '') ? sum + n : sum),
              0n,
            );
          const reserved = sumOf('GRANT_RESERVED', 'OVERAGE_RESERVED');
          const remaining = sumOf('GRANT_AVAILABLE', 'GRANT_RESERVED');
          expect(past).toMatchObject({ remaining, reserved, available: remaining - reserved });
          expect(past.overage).toBe(entry.overageAfter);
        }
      }),
      { seed, numRuns: 6 },
    );
  },
);

test.each(SEEDS)(
  'at any instant, it is the balance after the last entry at it or before (seed %i)',
  async (seed) => {
    await fc.assert(
      fc.asyncProperty(steps(20), async (all) => {
        const accountId = await makeHistory(scrip, all);
        scrip.advance(HOUR);
        const entries = await entriesOf(scrip, accountId);
        const opened = timeOf(defined(entries[0]));
        const instants = entries.map(timeOf).flatMap((ms) => [ms - 1, ms, ms + 1]);
        for (const ms of new Set([...instants, scrip.now()])) {
          if (ms < opened) continue;
          const last = defined(entries.findLast((entry) => timeOf(entry) <= ms));
          const { overage: _, ...past } = await at(accountId, ms, true);
          const { overage: __, ...after } = await afterSeq(accountId, last.seq);
          expect(past).toEqual(after);
        }
      }),
      { seed, numRuns: 6 },
    );
  },
);

test('of the newest entry it is the present balance', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 30n });
  const { seq, remaining, reserved, available } = await balanceOf(scrip, accountId);
  expect(await afterSeq(accountId, seq)).toMatchObject({ remaining, reserved, available });
  expect({ remaining, reserved, available }).toEqual({
    remaining: 100n,
    reserved: 30n,
    available: 70n,
  });
});

test('buckets are left out unless they are asked for, and name what they belong to', async () => {
  const accountId = await openWithCredits(scrip, 100n);
  await scrip.billing.reserve({ accountId, requestId: requestId(), credits: 30n });
  const { entrySeq: seq } = await scrip.billing.charge({
    accountId,
    requestId: requestId(),
    credits: 7n,
  });
  expect((await afterSeq(accountId, seq, false)).buckets).toEqual([]);
  const { GRANT_AVAILABLE, GRANT_RESERVED, ISSUED, CONSUMED } = Bucket_Kind;
  expect((await afterSeq(accountId, seq)).buckets).toEqual([
    { bucket: { kind: GRANT_AVAILABLE, grantId: 1n }, credits: 63n },
    { bucket: { kind: GRANT_RESERVED, grantId: 1n }, credits: 30n },
    { bucket: { kind: ISSUED, grantId: 0n }, credits: -100n },
    { bucket: { kind: CONSUMED, grantId: 0n }, credits: 7n },
  ]);
});

test('what was due and not settled yet counts from the entry that settled it', async () => {
  const accountId = await scrip.open('verts');
  await grant(scrip, accountId, 40n, { expiresAt: new Date(scrip.now() + HOUR) });
  scrip.advance(2 * HOUR);
  const between = scrip.now();
  expect((await balanceOf(scrip, accountId)).remaining).toBe(0n);
  scrip.advance(HOUR);
  await grant(scrip, accountId, 1n);
  expect((await at(accountId, between)).remaining).toBe(40n);
  expect((await at(accountId, scrip.now())).remaining).toBe(1n);
});

test('overage counts in the calendar month of the instant', async () => {
  const accountId = await scrip.open('eventful');
  const named = { accountId, requestId: requestId() };
  const { entrySeq } = await scrip.billing.charge({ ...named, credits: 157n });
  expect(await afterSeq(accountId, entrySeq)).toMatchObject({ overage: 100n, remaining: 0n });
  const inMonth = scrip.now();
  scrip.advance(40 * DAY);
  expect((await at(accountId, inMonth)).overage).toBe(100n);
  expect((await at(accountId, scrip.now())).overage).toBe(0n);
  expect((await balanceOf(scrip, accountId)).overage).toBe(0n);
});

describe('It is refused', () => {
  test('before the opening of the account, and in the future', async () => {
    const accountId = await scrip.open('verts');
    const opened = scrip.now();
    scrip.advance(HOUR);
    const latest = scrip.now();
    for (const ms of [opened - 1, latest + 1])
      expect(await errorOf(at(accountId, ms))).toMatchObject({
        reason: 'INSTANT_OUT_OF_RANGE',
        metadata: {
          at: new Date(ms).toISOString(),
          earliest: new Date(opened).toISOString(),
          latest: new Date(latest).toISOString(),
        },
      });
    for (const ms of [opened, latest]) expect((await at(accountId, ms)).seq).toBe(1n);
  });

  test('between the opening of an imported account and its import', async () => {
    const accountId = `imported-${requestId()}`;
    const openedAt = new Date(scrip.now() - 30 * DAY);
    await scrip.accounts.importAccount({
      ...{ accountId, requestId: requestId(), planId: 'verts', openedAt, system: 'before' },
    });
    const imported = scrip.now();
    for (const ms of [openedAt.getTime() - 1, openedAt.getTime(), imported - 1])
      expect(await errorOf(at(accountId, ms))).toMatchObject({
        reason: 'INSTANT_OUT_OF_RANGE',
        metadata: { at: new Date(ms).toISOString(), earliest: new Date(imported).toISOString() },
      });
    expect((await at(accountId, imported)).recordedAt).toEqual(new Date(imported));
  });

  test('after an entry that is not written yet', async () => {
    const accountId = await scrip.open('verts');
    expect(await errorOf(afterSeq(accountId, 2n))).toMatchObject({
      reason: 'ENTRY_NOT_FOUND',
      metadata: { seq: '2', account_id: accountId },
    });
  });

  test.each([
    ['no point', undefined, 'point'],
    ['seq 0', { $case: 'seq' as const, value: 0n }, 'seq'],
    ['a negative seq', { $case: 'seq' as const, value: -1n }, 'seq'],
    ['an instant before 1970', { $case: 'at' as const, value: new Date(-1_000) }, 'at'],
  ])('with %s', async (_, point, field) => {
    const accountId = await scrip.open('verts');
    const error = await errorOf(scrip.billing.getPastBalance({ accountId, point }));
    expect(error).toMatchObject({ reason: 'INVALID_FIELD', fields: [field] });
  });

  test('of an account that does not exist', async () => {
    expect((await errorOf(afterSeq('nobody', 1n))).reason).toBe('ACCOUNT_NOT_FOUND');
  });
});
