/** What tests of late usage run: accounts whose usage may be three days late, and the closing of their months. */
import type { Statement } from '../../src/ledger/statement.ts';
import { closeStatement } from '../../src/ledger/statement-closing.ts';
import type { Terms } from '../../src/pricing/plan.ts';
import type { AccountStore } from './account-store.ts';
import { allowance, at, charge, ms, open, origin, plan, postpaid } from './fixtures.ts';
import { ledger, type Row } from './table.ts';

export const FEBRUARY = at('2026-02-01');
export const MARCH = at('2026-03-01');
export const LATE = { lateUsageMs: ms('3d') };
export const POSTPAID: Partial<Terms> = { ...postpaid(100n), ...LATE };
export const MONTHLY: Partial<Terms> = { ...allowance(50n), ...LATE };

export const late = (amount: Parameters<typeof charge>[0], usedAt: string) =>
  charge(amount, null, { usedAt: at(usedAt) });

export const opened = (terms: Partial<Terms>, rows: readonly Row[] = []): AccountStore =>
  ledger(plan(terms), [
    [
      '2026-01-10',
      open(),
      terms.allowance ? 'OPEN_ACCOUNT | GRANT 50: issued>g1 50' : 'OPEN_ACCOUNT',
      terms.allowance ? '50' : '0',
    ],
    ...rows,
  ]);

export const dueOf = ({ account }: AccountStore) => account.statementDueAt;

export const NO_STATEMENT: Statement = {
  accountId: 'acme',
  month: '2026-01',
  planId: 'test',
  closedAt: null,
  afterSeq: 0n,
  lastSeq: 0n,
  usage: [],
  creditsUsed: new Map(),
  overage: 0n,
  owed: 0n,
  owedPaid: 0n,
  rates: null,
  lines: [],
  adjustments: [],
  total: null,
  otherTotals: [],
};

/** Closes the month that is due, if it is. `lastSeq`: of its last entry. */
export function closeMonth(store: AccountStore, now: string, lastSeq = 0n): boolean {
  const { seq, lastAt } = store.account;
  const dueAt = store.account.statementDueAt ?? 0;
  const book = store.loadBook(at(now), []);
  closeStatement(
    book,
    { statement: { ...NO_STATEMENT, lastSeq }, dueAt, read: { seq, lastAt } },
    origin,
  );
  store.saveBook(book);
  return book.changes.statements.length === 1;
}
