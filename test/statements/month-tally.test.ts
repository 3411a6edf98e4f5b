/** Adding up a month: examples, and random scenarios compared with the auditor's own arithmetic. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry } from '../../src/ledger/entry.ts';
import { monthAt, monthNameAt } from '../../src/ledger/periods/period.ts';
import type { MonthUsage } from '../../src/ledger/statement.ts';
import {
  Attributions,
  attributeEntries,
  type UsageEntry,
} from '../../src/statements/attributions.ts';
import { MonthTally } from '../../src/statements/month-tally.ts';
import { StatementTally } from '../../src/verify/statement-tally.ts';
import { monthNamed } from '../../src/verify/zone-periods.ts';
import type { AccountStore } from '../ledger/account-store.ts';
import { runScenario, scenarios } from '../ledger/workload.ts';

const RUNS = { numRuns: 200 };
const TIMEOUT_MS = 120_000;

/**
 * The entry with several usages, one of them free and some with a count above 1: the random scenarios have
 * one usage only. A commit may have usages that cost more than its reservation allowed.
 */
function toUsageEntry(entry: Entry): UsageEntry {
  const { kind, seq, credits, usages } = entry;
  const hasUsages = kind === 'COMMIT' ? usages.length > 0 : kind === 'RESERVE' || seq % 3n > 0n;
  const capped = kind === 'COMMIT' && seq % 2n === 0n ? 5n : 0n;
  const usagesOfEntry = [
    { operation: 'a', count: 2n + (seq % 2n), credits: credits / 3n },
    { operation: 'free', count: 1n, credits: 0n },
    { operation: `b${seq % 3n}`, count: 4n, credits: credits - credits / 3n + capped },
  ];
  return { ...entry, usages: hasUsages ? usagesOfEntry : [] };
}

describe('a commit without usages is attributed to', () => {
  type Commit = readonly [credits: bigint, used: string];
  const reserving = (...usages: readonly (readonly [string, bigint, bigint])[]) => usages;
  test.each<[string, ReturnType<typeof reserving>, readonly Commit[]]>([
    [
      'all usages of its reservation',
      reserving(['a', 2n, 6n], ['b', 1n, 4n]),
      [[10n, 'a x2 6, b x1 4']],
    ],
    [
      'the first usages, and the next commit to the following ones',
      reserving(['a', 3n, 6n], ['b', 1n, 4n]),
      [
        [3n, 'a x2 3'],
        [4n, 'a x1 3, b x1 1'],
        [3n, 'b x0 3'],
      ],
    ],
    [
      'parts of one usage',
      reserving(['a', 3n, 6n]),
      [
        [2n, 'a x1 2'],
        [2n, 'a x1 2'],
        [3n, 'a x1 2,  x0 1'],
      ],
    ],
    [
      'usages that cost 0, once, as soon as they are reached',
      reserving(['free', 5n, 0n], ['a', 1n, 2n], ['free', 1n, 0n]),
      [
        [0n, 'free x5 0'],
        [2n, 'a x1 2, free x1 0'],
        [0n, ''],
      ],
    ],
    ['usages that cost 0, if it charges nothing', reserving(['free', 7n, 0n]), [[0n, 'free x7 0']]],
    [
      'no operation for credits beyond its reservation',
      reserving(['a', 1n, 2n]),
      [[5n, 'a x1 2,  x0 3']],
    ],
    ['no operation if its reservation has no usages', reserving(), [[5n, ' x0 5']]],
  ])('%s', (_, usages, commits) => {
    const attributions = new Attributions();
    const entry = (kind: Entry['kind'], credits: bigint, named: typeof usages): UsageEntry => ({
      seq: 1n,
      at: 0,
      usedAt: null,
      kind,
      moves:
        credits === 0n ? [] : [{ from: 'overage_reserved', to: 'consumed', grantId: 0n, credits }],
      usages: named.map(([operation, count, cost]) => ({ operation, count, credits: cost })),
      reservationId: 'r',
      refundedSeq: null,
    });
    attributions.attribute(entry('RESERVE', 0n, usages));
    for (const [credits, used] of commits)
      expect(
        attributions
          .attribute(entry('COMMIT', credits, []))
          .map((one) => `${one.operation} x${one.count} ${one.credits}`)
          .join(', '),
      ).toBe(used);
  });
});

/** The first moments of the account's months. */
const monthsOf = ({ account, entries }: AccountStore): ReadonlySet<number> =>
  new Set(
    entries.flatMap(({ at, usedAt }) =>
      [at, usedAt ?? at].map((time) => monthAt(account.timeZones, time).from),
    ),
  );

/**
 * Adds up a month page by page, and looks up what the tally needs as the service does. The entries after
 * the month are read too: they can be late usage of it.
 */
function tallyMonth(store: AccountStore, start: number, pageSize: number): MonthUsage {
  const entries = store.entries.map(toUsageEntry);
  const { timeZones } = store.account;
  const isOfMonth = ({ at }: UsageEntry) => monthAt(timeZones, at).from === start;
  const read = entries.filter(({ at }) => at >= start);
  const afterSeq = entries.findLast(({ at }) => at < start)?.seq ?? 0n;
  const name = monthNameAt(timeZones, start);
  const lastSeq = entries.findLast(isOfMonth)?.seq ?? afterSeq;
  const tally = new MonthTally({ name, afterSeq, lastSeq }, (at) => monthNameAt(timeZones, at));
  const isOf = (ids: readonly string[]) => (entry: UsageEntry) =>
    (entry.kind === 'RESERVE' || entry.kind === 'COMMIT') &&
    ids.includes(entry.reservationId ?? '');
  for (let from = 0; from < read.length; from += pageSize) {
    const page = read.slice(from, from + pageSize);
    const lookups = tally.lookupsFor(page);
    const before = entries.filter(({ seq }) => seq < (page[0]?.seq ?? 0n));
    const used = attributeEntries(entries.filter(({ kind }) => kind !== 'REFUND'));
    tally.addEntries(page, {
      earlier: before.filter(isOf(lookups.reservationIds)),
      refunded: new Map(
        entries
          .filter(({ seq }) => lookups.refundedSeqs.includes(seq))
          .map(({ seq, at, usedAt }) => [seq, { at: usedAt ?? at, used: used.get(seq) ?? [] }]),
      ),
      categories: new Map(
        lookups.grantIds.map((grantId) => [grantId, store.grants.get(grantId)?.category ?? 'PAID']),
      ),
    });
  }
  return tally.result();
}

/** The same months, added up by the auditor's arithmetic. */
function auditMonths({ account, entries }: AccountStore): StatementTally {
  const tally = new StatementTally(account.timeZones);
  for (const entry of entries) {
    const { reservationId: id, seq } = entry;
    const { usages } = toUsageEntry(entry);
    const ofReservation = entries.filter((other) => id !== null && other.reservationId === id);
    const commits = ofReservation.filter((other) => other.kind === 'COMMIT' && other.seq < seq);
    const isCommitWithoutUsages = usages.length === 0 && entry.kind === 'COMMIT';
    const reserved = ofReservation.find(({ kind }) => kind === 'RESERVE');
    tally.add({
      ...entry,
      usages,
      reserved: isCommitWithoutUsages && reserved ? toUsageEntry(reserved).usages : [],
      committedBefore:
        commits.length === 0 ? null : commits.reduce((sum, { credits }) => sum + credits, 0n),
      willBeRefunded: entries.some(({ refundedSeq }) => refundedSeq === seq),
    });
  }
  return tally;
}

const comparable = (usage: MonthUsage) => ({
  operations: usage.usage
    .map(({ operation, count, credits, refunded }) => [operation, count, credits, refunded])
    .sort(),
  overage: usage.overage,
  refundedEarlier: [...usage.refundedEarlier].sort(),
});

describe('in every scenario of an account', () => {
  test(
    'every month adds up to the auditor’s figures, with pages of any length',
    () => {
      fc.assert(
        fc.property(scenarios(60), fc.integer({ min: 1, max: 9 }), (scenario, pageSize) => {
          const store = runScenario(scenario);
          const auditor = auditMonths(store);
          for (const start of monthsOf(store)) {
            const month = auditor.month(monthNamed(store.account.timeZones, start));
            expect(
              comparable(tallyMonth(store, start, pageSize)),
              new Date(start).toISOString(),
            ).toEqual({
              operations: [...month.operations]
                .map(([operation, use]) => [operation, use.count, use.credits, use.refunded])
                .sort(),
              overage: month.overage,
              refundedEarlier: [...month.refundedEarlier].sort(),
            });
          }
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'credits by operation add up to credits by grant, overage and what is owed',
    () => {
      fc.assert(
        fc.property(scenarios(60), (scenario) => {
          const store = runScenario(scenario);
          for (const start of monthsOf(store)) {
            const { usage, creditsUsed, overage, owed } = tallyMonth(store, start, 5);
            const used = usage.reduce((sum, { credits }) => sum + credits, 0n);
            const fromGrants = [...creditsUsed.values()].reduce(
              (sum, credits) => sum + credits,
              0n,
            );
            expect(used).toBe(fromGrants + overage + owed);
            for (const { credits, count } of usage) expect(credits >= 0n && count >= 0n).toBe(true);
          }
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );
});
