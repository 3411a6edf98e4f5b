/** Usage reports of several cells, as one. */
import {
  keyColumns,
  type RowKey,
  type UsageQuery,
  type UsageReport,
  type UsageRow,
} from './usage-report.ts';

/**
 * Each report has the first rows of its cell, one more than the limit if there are more. So the first rows of all are
 * in them, and what they sum is whole.
 */
export function mergeUsage(asked: UsageQuery, reports: readonly UsageReport[]): UsageReport {
  const [first, ...others] = reports as readonly [UsageReport, ...UsageReport[]];
  if (others.length === 0) return first;
  const rows = new Map<string, UsageRow>();
  for (const row of reports.flatMap((report) => report.rows)) {
    const key = JSON.stringify(row.key);
    const before = rows.get(key);
    rows.set(key, before ? sumOf(before, row) : row);
  }
  const compare = keyComparison(asked);
  return {
    upToSeq: null,
    before: Math.min(...reports.map(({ before }) => before)),
    rows: [...rows.values()].sort((a, b) => compare(a.key, b.key)).slice(0, asked.limit + 1),
    hasOtherLabels: reports.some(({ hasOtherLabels }) => hasOtherLabels),
  };
}

function sumOf(one: UsageRow, other: UsageRow): UsageRow {
  const quantities = new Map(one.quantities);
  for (const [name, total] of other.quantities)
    quantities.set(name, (quantities.get(name) ?? 0n) + total);
  return {
    ...one,
    count: one.count + other.count,
    credits: one.credits + other.credits,
    refunded: one.refunded + other.refunded,
    quantities: new Map([...quantities].sort(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** The order of the rows of a report: numbers by their values, texts by their bytes. */
function keyComparison(asked: UsageQuery): (one: RowKey, other: RowKey) => number {
  const columns = keyColumns(asked);
  return (one, other) => {
    for (const [index, { type }] of columns.entries()) {
      const [a = '', b = ''] = [one[index], other[index]];
      const order =
        type === 'text' ? Buffer.compare(Buffer.from(a), Buffer.from(b)) : Number(a) - Number(b);
      if (order !== 0) return order;
    }
    return 0;
  };
}
