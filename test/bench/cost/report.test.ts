import { expect, test } from 'vitest';
import { growthTable } from './report.ts';

test('growth has a row per table, its indexes below it, a column per operation, and totals', () => {
  const entries = { table: 'entries', name: 'entries', kind: 'heap', bytes: 950.4 } as const;
  const key = { table: 'entries', name: 'entries_pkey', kind: 'index', bytes: 110 } as const;
  const lookup = { table: 'entries', name: 'entries_by_trace', kind: 'index', bytes: 90 } as const;
  const requests = { table: 'requests', name: 'requests', kind: 'heap', bytes: 1_234 } as const;
  expect(
    growthTable([
      { short: 'pair', growth: [requests, key, lookup, entries] },
      { short: 'Charge', growth: [entries] },
    ]),
  ).toEqual([
    '                               pair  Charge',
    'entries                         950     950',
    '  entries_by_trace               90       0',
    '  entries_pkey                  110       0',
    'requests                      1,234       0',
    'total without lookup indexes  2,294     950',
    'total with lookup indexes     2,384     950',
  ]);
});
