/** Usage rollups of random accounts: they add up to the entries, in pages of any length, and as the auditor counts. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Entry, Labels, StoredEntry } from '../../src/ledger/entry.ts';
import type { PricedUsage } from '../../src/pricing/price.ts';
import {
  LABEL_VALUES_MAX,
  LABELS_MAX,
  type LabelsOfMonth,
} from '../../src/statements/label-places.ts';
import {
  type CountedEntry,
  refundedBy,
  reservationsOf,
  tallyUsage,
  type UsageSum,
} from '../../src/statements/usage-tally.ts';
import { keyOf, type RollupSums, UsageReplay } from '../../src/verify/usage-replay.ts';
import { reservationScenarios, runScenario, scenarios } from '../ledger/workload.ts';

const RUNS = { numRuns: 150 };
const TIMEOUT_MS = 120_000;
const HOUR = 3_600_000;

const priced = (operation: string, count: bigint, credits: bigint, pages: bigint): PricedUsage => ({
  usage: { operation, count, quantities: new Map([['pages', pages]]), attributes: new Map() },
  unitCredits: credits,
  credits,
  billable: true,
  components: [],
});

/** The entry with several usages, labels and callers, which random scenarios lack. */
function enriched(entry: StoredEntry): StoredEntry {
  const { kind, seq, credits, usages } = entry;
  const hasUsages = kind === 'COMMIT' ? usages.length > 0 : kind === 'RESERVE' || seq % 3n > 0n;
  const capped = kind === 'COMMIT' && seq % 2n === 0n ? 5n : 0n;
  return {
    ...entry,
    caller: `caller-${seq % 2n}`,
    labels: labelsOf(seq),
    usages: hasUsages
      ? [
          priced('a', 2n + (seq % 2n), credits / 3n, seq),
          priced('free', 1n, 0n, 1n),
          priced(`b${seq % 3n}`, 4n, credits - credits / 3n + capped, 0n),
        ]
      : [],
  };
}

const labelsOf = (seq: bigint): Labels => ({
  ...(seq % 4n > 0n && { team: `t${seq % 3n}` }),
  ...(seq % 5n === 0n && { job: `${seq}`, empty: '' }),
});

const toCounted = (entry: Entry): CountedEntry => ({
  ...entry,
  usages: entry.usages.map(({ usage, credits }) => ({ ...usage, credits })),
});

type Row = readonly [key: string, figures: string];

const figures = ({ count, credits, refunded, quantities }: RollupSums): string =>
  JSON.stringify([count, credits, refunded, ...[...quantities].sort()].map(String));

/** Counts page by page, and looks up what the tally needs as the service does. */
function rollUp(entries: readonly StoredEntry[], pageSize: number) {
  const rows = new Map<string, UsageSum>();
  const all = entries.map(toCounted);
  let labels: LabelsOfMonth | null = null;
  for (let from = 0; from < all.length; from += pageSize) {
    const page = all.slice(from, from + pageSize);
    const upTo = page.at(-1)?.seq ?? 0n;
    const seqs = refundedBy(page);
    const refunded = all.filter(({ seq }) => seqs.includes(seq));
    const reservationIds = reservationsOf([...page, ...refunded]);
    const counted = tallyUsage(
      page,
      {
        ofReservations: all.filter(
          ({ kind, reservationId, seq }) =>
            (kind === 'RESERVE' || kind === 'COMMIT') &&
            reservationIds.includes(reservationId ?? '') &&
            seq <= upTo,
        ),
        refunded,
        refunds: all.filter(({ refundedSeq, seq }) => refundedSeq !== null && seq <= upTo),
      },
      labels,
    );
    labels = counted.labels;
    if (counted.forgetsLabels)
      for (const [key, { label, beyond }] of rows) if (label !== '' || beyond) rows.delete(key);
    for (const sum of counted.sums) addTo(rows, sum);
  }
  return { rows, labels };
}

function addTo(rows: Map<string, UsageSum>, sum: UsageSum) {
  const row = rows.get(keyOf(sum));
  if (!row) {
    rows.set(keyOf(sum), sum);
    return;
  }
  row.count += sum.count;
  row.credits += sum.credits;
  row.refunded += sum.refunded;
  for (const [name, total] of sum.quantities)
    row.quantities.set(name, (row.quantities.get(name) ?? 0n) + total);
}

function audited(entries: readonly StoredEntry[]) {
  const refunded = new Set(entries.flatMap(({ refundedSeq }) => refundedSeq ?? []));
  const replay = new UsageReplay(refunded);
  for (const entry of entries) replay.apply(entry);
  return { rows: replay.rows, labels: replay.labels };
}

const sorted = (rows: ReadonlyMap<string, RollupSums>): readonly Row[] =>
  [...rows].map(([key, sums]): Row => [key, figures(sums)]).sort();

const sum = (amounts: Iterable<bigint>): bigint => [...amounts].reduce((all, one) => all + one, 0n);

const anyScenario = fc.oneof(scenarios(60), reservationScenarios(60));

describe('in every scenario of an account', () => {
  test(
    'pages of any length make the rows that the auditor counts',
    () => {
      fc.assert(
        fc.property(anyScenario, fc.integer({ min: 1, max: 30 }), (scenario, pageSize) => {
          const entries = runScenario(scenario).entries.map(enriched);
          const counted = rollUp(entries, pageSize);
          const expected = audited(entries);
          expect(sorted(counted.rows)).toEqual(sorted(expected.rows));
          expect(counted.labels).toEqual(expected.labels);
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'the rows add up to the credits that entries charged and gave back, in their hours',
    () => {
      fc.assert(
        fc.property(anyScenario, (scenario) => {
          const entries = runScenario(scenario).entries.map(enriched);
          const rows = [...rollUp(entries, entries.length).rows.values()];
          const undivided = rows.filter(({ label, beyond }) => label === '' && !beyond);
          const hourOf = ({ at, usedAt }: (typeof entries)[number]) =>
            (usedAt ?? at) - ((usedAt ?? at) % HOUR);
          for (const hour of new Set(entries.map(hourOf))) {
            const moves = entries.filter((entry) => hourOf(entry) === hour);
            const credits = (bucket: 'from' | 'to') =>
              sum(
                moves
                  .flatMap((entry) => entry.moves)
                  .flatMap((move) => (move[bucket] === 'consumed' ? move.credits : [])),
              );
            const ofHour = undivided.filter((row) => row.hour === hour);
            expect(sum(ofHour.map((row) => row.credits))).toBe(credits('to'));
            expect(sum(ofHour.map((row) => row.refunded))).toBe(credits('from'));
          }
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'the rows of a label add up to what the entries with it used',
    () => {
      fc.assert(
        fc.property(anyScenario, (scenario) => {
          const entries = runScenario(scenario).entries.map(enriched);
          const erased = entries.findLast(({ kind }) => kind === 'ERASE_ACCOUNT_DATA')?.seq ?? 0n;
          const rows = [...rollUp(entries, 7).rows.values()];
          for (const team of ['t0', 't1', 't2']) {
            const having = entries.filter(
              ({ labels, seq }) => labels['team'] === team && seq > erased,
            );
            const charged = having.flatMap(({ moves }) =>
              moves.flatMap(({ to, credits }) => (to === 'consumed' ? credits : [])),
            );
            const ofTeam = rows.filter(
              ({ label, labelValue }) => label === 'team' && labelValue === team,
            );
            expect(sum(ofTeam.map((row) => row.credits))).toBe(sum(charged));
          }
        }),
        RUNS,
      );
    },
    TIMEOUT_MS,
  );
});

/** Charges of 1 credit, each with one label. */
const chargesOf = (labels: readonly Labels[], at = 0): readonly StoredEntry[] =>
  labels.map(
    (one, index) =>
      ({
        seq: BigInt(index + 1),
        at,
        kind: 'CHARGE',
        moves: [{ from: 'available', to: 'consumed', grantId: 1n, credits: 1n }],
        usages: [priced('a', 1n, 1n, 1n)],
        credits: 1n,
        labels: one,
        caller: 'c',
        planId: 'p',
        rateCardVersion: 1,
        reservationId: null,
        refundedSeq: null,
      }) as unknown as StoredEntry,
  );

const numbered = (count: number, labelsAt: (index: number) => Labels) =>
  Array.from({ length: count }, (_, index) => labelsAt(index));

describe('labels beyond the limits', () => {
  test('values after the first of a month share a row, and none gets lost', () => {
    const entries = chargesOf(numbered(LABEL_VALUES_MAX + 5, (index) => ({ job: `${index}` })));
    const { rows } = rollUp(entries, 9);
    const ofJobs = [...rows.values()].filter(({ label }) => label === 'job');
    expect(ofJobs).toHaveLength(LABEL_VALUES_MAX + 1);
    expect(ofJobs.filter(({ beyond }) => beyond)).toMatchObject([{ credits: 5n, labelValue: '' }]);
    expect(sorted(rows)).toEqual(sorted(audited(entries).rows));
  });

  test('labels after the first of a month share one row', () => {
    const entries = chargesOf(numbered(LABELS_MAX + 3, (index) => ({ [`l${index}`]: 'x' })));
    const { rows } = rollUp(entries, 9);
    const beyond = [...rows.values()].filter((row) => row.beyond);
    expect(beyond).toMatchObject([{ label: '', credits: 3n }]);
    expect(sorted(rows)).toEqual(sorted(audited(entries).rows));
  });

  test('an entry with several of them counts there once', () => {
    const many = Object.fromEntries(
      numbered(LABELS_MAX, (index) => ({ [`l${index}`]: 'x' })).flatMap(Object.entries),
    );
    const entries = chargesOf([many, { y: '1', z: '2' }]);
    const { rows } = rollUp(entries, 1);
    expect([...rows.values()].filter((row) => row.beyond)).toMatchObject([{ credits: 1n }]);
    expect(sorted(rows)).toEqual(sorted(audited(entries).rows));
  });

  test('a new month begins anew', () => {
    const first = chargesOf(numbered(LABEL_VALUES_MAX, (index) => ({ job: `${index}` })));
    const next = chargesOf([{ job: 'new' }], Date.UTC(1970, 1, 1));
    const { rows, labels } = rollUp([...first, ...next], 50);
    expect([...rows.values()].filter(({ labelValue }) => labelValue === 'new')).toHaveLength(1);
    expect(labels).toEqual({ month: '1970-02', values: { job: ['new'] } });
  });
});

test('erased labels are forgotten, and what was used stays', () => {
  const before = chargesOf([{ team: 'a' }, { team: 'b' }]);
  const erasure = { ...before[0], seq: 3n, kind: 'ERASE_ACCOUNT_DATA', moves: [], usages: [] };
  const later = { ...before[0], seq: 4n, labels: { team: 'c' } };
  const entries = [...before, erasure, later] as StoredEntry[];
  for (const pageSize of [1, 2, 3, 4]) {
    const { rows } = rollUp(entries, pageSize);
    const all = [...rows.values()];
    expect(all.filter(({ label }) => label === '')).toMatchObject([{ credits: 3n }]);
    expect(all.filter(({ label }) => label !== '')).toMatchObject([{ labelValue: 'c' }]);
    expect(sorted(rows)).toEqual(sorted(audited(entries).rows));
  }
});
