/** A comparison for people, and as JSON. */
import { nonZero } from '../print.ts';
import { table } from '../table.ts';
import type { Comparison, Difference, Sums } from './compare.ts';

/** Differences that people are shown; JSON has all. */
const SHOWN_MAX = 100;

const NAMELESS = '(not known)';

export function reportLines(comparison: Comparison, isCompared: boolean): readonly string[] {
  const { operations, accounts, total, refusals, same, differences } = comparison;
  const sums = (title: string, all: ReadonlyMap<string, Sums>, last: readonly string[][] = []) =>
    table(columnsOf(title, isCompared), [
      ...[...all].sort(byName).map(([name, one]) => rowOf(name || NAMELESS, one, isCompared)),
      ...last,
    ]);
  const telling = [...accounts].filter(
    ([, { oldCredits, credits, refused }]) =>
      refused !== 0n || (isCompared && oldCredits !== credits),
  );
  const refused = [...refusals].sort(byName).map(([reason, count]) => `${count} ${reason}`);
  return [
    ...sums('operation', operations, [[...rowOf('all', total, isCompared)]]),
    ...(telling.length > 0 ? ['', ...sums('account', new Map(telling))] : []),
    ...(differences.length > 0 && isCompared ? ['', ...differenceLines(differences)] : []),
    '',
    `would have been refused: ${refused.length > 0 ? refused.join(', ') : 'nothing'}`,
    ...(isCompared ? [`compared: ${same} the same, ${differences.length} different`] : []),
  ];
}

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number =>
  a < b ? -1 : a > b ? 1 : 0;

const columnsOf = (title: string, isCompared: boolean) => [
  { title },
  ...[
    ...(isCompared ? ['old charges', 'old credits'] : []),
    'charges',
    'credits',
    ...(isCompared ? ['difference'] : []),
    'refused',
  ].map((name) => ({ title: name, align: 'right' as const })),
];

const rowOf = (name: string, sums: Sums, isCompared: boolean): readonly string[] => [
  name,
  ...(isCompared ? [`${sums.oldCharges}`, `${sums.oldCredits}`] : []),
  `${sums.charges}`,
  `${sums.credits}`,
  ...(isCompared ? [nonZero(sums.credits - sums.oldCredits)] : []),
  nonZero(sums.refused),
];

function differenceLines(differences: readonly Difference[]): readonly string[] {
  const shown = differences.slice(0, SHOWN_MAX);
  const lines = table(
    [
      { title: 'account' },
      { title: 'charge' },
      { title: 'operation' },
      { title: 'old', align: 'right' },
      { title: 'here', align: 'right' },
      { title: 'what' },
    ],
    shown.map((one) => [
      one.accountId,
      one.key,
      one.operation,
      `${one.oldCredits ?? '-'}`,
      `${one.credits ?? '-'}`,
      whatOf(one),
    ]),
  );
  const more = differences.length - shown.length;
  return more > 0 ? [...lines, `… ${more} more: --json lists all`] : lines;
}

function whatOf({ oldCredits, credits, refusedBecause }: Difference): string {
  if (refusedBecause) return `would have been refused: ${refusedBecause}`;
  if (credits === null) return 'only in the old system';
  return oldCredits === null ? 'only here' : 'other credits';
}

const sumsJson = (all: ReadonlyMap<string, Sums>, of: 'operation' | 'account') =>
  [...all].sort(byName).map(([name, sums]) => ({ [of]: name, ...sums }));

export const reportJson = (comparison: Comparison, isCompared: boolean) => ({
  operations: sumsJson(comparison.operations, 'operation'),
  accounts: sumsJson(comparison.accounts, 'account'),
  total: comparison.total,
  refusals: Object.fromEntries([...comparison.refusals].sort(byName)),
  ...(isCompared && {
    same: comparison.same,
    differences: comparison.differences.map((one) => ({ ...one, what: whatOf(one) })),
  }),
});
