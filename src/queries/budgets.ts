/** What budgets have used, as the next call of their account would see it. */
import type { Account } from '../ledger/account.ts';
import { type Budget, type BudgetCounter, capOf } from '../ledger/budget.ts';
import { changesOn } from '../ledger/budget-counts.ts';
import { budgetPeriodAt } from '../ledger/budget-period.ts';
import { returnedByEnd } from '../ledger/budgeted-operations.ts';
import { jobOf, type Reservation } from '../ledger/reservation.ts';
import { fromMillis } from '../pg/millis.ts';
import { type Em, IsolationLevel } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { Row } from '../pg/table.ts';
import { loadAccounts, loadExpiredReservations } from '../store/load.ts';
import { budgetCounters } from '../store/tables/budgets.ts';

export type BudgetUse = {
  readonly budgetId: string;
  readonly value: string;
  /** Null: none. */
  readonly cap: bigint | null;
  readonly used: bigint;
  readonly period: ReturnType<typeof budgetPeriodAt>;
};

export type UsesWanted = {
  /** Empty: of all budgets. */
  readonly budgetId: string;
  /** Null: of all values. */
  readonly value: string | null;
  /** The use that the page begins after; null: the first page. */
  readonly after: Pick<BudgetUse, 'budgetId' | 'value'> | null;
  readonly limit: number;
};

/** The account's budgets, and at most `limit` of their uses, ordered by budget and value. Null: there is no such account. */
export async function readBudgetUses(
  em: Em,
  accountId: string,
  now: number,
  wanted: UsesWanted,
): Promise<{ readonly budgets: readonly Budget[]; readonly uses: readonly BudgetUse[] } | null> {
  return await em.transactional(
    async (em) => {
      const [account] = await loadAccounts(em, [accountId]);
      if (!account) return null;
      const budgets = (account.budgets ?? []).filter(
        ({ budgetId }) => wanted.budgetId === '' || budgetId === wanted.budgetId,
      );
      const at = Math.max(now, account.lastAt);
      const expired = await loadExpired(em, account, at);
      const uses: BudgetUse[] = [];
      for (const budget of budgets) {
        const { after, limit } = wanted;
        if (uses.length >= limit || (after && budget.budgetId < after.budgetId)) continue;
        const afterValue = budget.budgetId === after?.budgetId ? after.value : null;
        const page = { value: wanted.value, afterValue, limit: limit - uses.length };
        uses.push(...(await usesOf(em, account, budget, at, expired, page)));
      }
      return { budgets, uses };
    },
    { isolationLevel: IsolationLevel.REPEATABLE_READ, readOnly: true },
  );
}

/** Reservations that have expired and still count, as far as nobody has used the account since. */
const loadExpired = async (em: Em, { accountId, budgets, dueAt }: Account, at: number) =>
  budgets && dueAt !== null && dueAt <= at
    ? await loadExpiredReservations(em, accountId, at, ALL)
    : [];

/** More reservations than an account can have. */
const ALL = 1_000_000;

type Page = Pick<UsesWanted, 'value' | 'limit'> & { readonly afterValue: string | null };

async function usesOf(
  em: Em,
  { accountId, timeZones }: Account,
  budget: Budget,
  at: number,
  expired: readonly Reservation[],
  page: Page,
): Promise<readonly BudgetUse[]> {
  const period = budgetPeriodAt(timeZones, budget.period, at);
  const counters = await findCounters(em, accountId, budget, period.from, page);
  const used = new Map(namedValues(budget, page).map((value) => [value, 0n]));
  for (const counter of counters) used.set(counter.value, counter.used);
  for (const reservation of expired)
    for (const { key, credits } of changesOn(
      timeZones,
      budget,
      jobOf(reservation),
      returnedByEnd(reservation),
    )) {
      const before = used.get(key.value);
      if (before !== undefined && key.periodFrom === period.from)
        used.set(key.value, before + credits);
    }
  return [...used]
    .sort(([a], [b]) => compareBytes(a, b))
    .slice(0, page.limit)
    .map(([value, ofValue]) => ({
      budgetId: budget.budgetId,
      value,
      cap: capOf(budget, value),
      used: ofValue,
      period,
    }));
}

/** The values of the page that the budget names, whether or not they have used some. */
const namedValues = ({ value, exceptions }: Budget, page: Page): readonly string[] =>
  (value === null ? [...exceptions.keys()] : [value]).filter(
    (named) =>
      (page.value === null || page.value === named) &&
      (page.afterValue === null || compareBytes(named, page.afterValue) > 0),
  );

/** As `collate "C"` orders texts. */
const compareBytes = (a: string, b: string): number =>
  Buffer.compare(Buffer.from(a), Buffer.from(b));

async function findCounters(
  em: Em,
  accountId: string,
  { since }: Budget,
  periodFrom: number,
  { value, afterValue, limit }: Page,
): Promise<readonly BudgetCounter[]> {
  const rows = await query<Row>(
    em,
    `select ${budgetCounters.selectList} from budget_counters
     where account_id = $1 and since = $2 and period_from = ${fromMillis('$3')}
       and ($4::text is null or value = $4)
       and ($5::text is null or value collate "C" > $5 collate "C")
     order by value collate "C" limit $6`,
    [accountId, since, periodFrom, value, afterValue, limit],
  );
  return rows.map(budgetCounters.read);
}
