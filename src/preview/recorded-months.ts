/**
 * Reads a month as recorded, for every account of a plan: its overage, the rates that price it, and what
 * was available at its end. The figures come from the closed statement or, for an open month, from the
 * entries, by the rules of statements (see statements/README.md). One query reads all accounts.
 */
import type pg from 'pg';
import { formatMonth, monthStart } from '../ledger/month.ts';
import { readWithCursor } from '../pg/cursor.ts';
import { fromMillis, millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import type { OverageRates } from '../pricing/overage.ts';
import { LATE_USAGE_MAX_MS } from '../pricing/plan.ts';
import { overageRatesSchema } from '../pricing/plan-file/overage-schema.ts';
import { planTermsFromJson } from '../pricing/plan-file/plan-json.ts';
import { jsonIntegers } from '../pricing/plan-file/scalar-schemas.ts';
import { kindCodes } from '../store/tables/codes.ts';
import type { RecordedMonth } from './overage.ts';

type Month = { readonly accountsOf: string; readonly from: number; readonly until: number };

const FROM = fromMillis('$2');
const UNTIL = fromMillis('$3');
/** When the last usage of the month can have been recorded. */
const RECORDED_UNTIL = fromMillis(`($3::float8 + ${LATE_USAGE_MAX_MS})`);
/** When the usage of an entry counts. */
const usedAt = (entry: string) =>
  `coalesce(${fromMillis(`(${entry}.content ->> 't')`)}, ${entry}.at)`;

/**
 * Refunds of earlier months' usage are adjustments of those months, and change nothing here. The entry of
 * a grant's expiry is written when its account is next settled, which may be after the month or not yet:
 * credits that expired within the month are subtracted from what was available at its end.
 */
const MONTHS_SQL = `
  select a.account_id, ${millis('a.statement_due_at', 'due_at')}, a.statement_plan_id,
    s.month is not null as closed, s.content -> 'rates' as rates, before.rates as rates_before,
    coalesce(s.overage, used.overage) as overage,
    coalesce(at_end.available, 0) - expired.settled_later - expired.not_settled as available
  from accounts a
  left join statements s on s.account_id = a.account_id and s.month = $4
  left join lateral (
    select b.content -> 'rates' as rates from statements b
    where b.account_id = a.account_id and b.month < $4 order by b.month desc limit 1
  ) before on a.statement_plan_id is null
  cross join lateral (
    select coalesce(sum(case when m.to_bucket = 'consumed' then m.credits
                             when m.from_bucket = 'consumed' then -m.credits end), 0) as overage
    from history_moves m
    join entries e on e.account_id = m.account_id and e.seq = m.seq
    left join entries o on o.account_id = e.account_id and o.seq = e.refunded_seq
    where m.account_id = a.account_id and m.at >= ${FROM} and m.at < ${RECORDED_UNTIL} and m.grant_id is null
      and ${usedAt('e')} >= ${FROM} and ${usedAt('e')} < ${UNTIL}
      and e.kind in (${kindCodes('COMMIT', 'CHARGE', 'REFUND')})
      and (e.refunded_seq is null or ${usedAt('o')} >= ${FROM})
  ) used
  left join lateral (
    select greatest(e.remaining_after - e.reserved_after, 0) as available from entries e
    where e.account_id = a.account_id and e.at < ${UNTIL} order by e.seq desc limit 1
  ) at_end on true
  cross join lateral (
    select
      coalesce(sum((
        select sum(e.credits) from entries e
        where e.account_id = g.account_id and e.grant_id = g.grant_id
          and e.kind = ${kindCodes('GRANT_EXPIRED')} and e.at >= ${UNTIL}
      )), 0) as settled_later,
      coalesce(sum(g.remaining - g.reserved), 0) as not_settled
    from grants g
    where g.account_id = a.account_id and g.expires_at < ${UNTIL}
  ) expired
  where a.plan_id = $1
  order by a.account_id`;

const DAY_MS = 86_400_000;

export type AccountMonth = RecordedMonth & { readonly accountId: string };

/** Yields one month for every account of the plan, sorted by account id. */
export async function* readRecordedMonths(
  client: pg.Client,
  { accountsOf, from, until }: Month,
): AsyncGenerator<AccountMonth, void, void> {
  const ratesOf = await ratesOfPlans(client);
  const parameters = [accountsOf, from, until, formatMonth(from)];
  for await (const row of readWithCursor(client, 'months', MONTHS_SQL, parameters)) {
    const available = BigInt(row['available']!);
    yield {
      accountId: row['account_id']!,
      overage: BigInt(row['overage']!),
      rates: row['closed'] ? storedRates(row['rates']) : ratesOfOpen(row, until),
      availableAtEnd: available > 0n ? available : 0n,
    };
  }

  /** The rates that will price a month that is not closed; null if no statement will close it. */
  function ratesOfOpen(row: Row, end: number): OverageRates | null {
    const dueAt: number | null = row['due_at']!;
    if (dueAt === null) return null;
    const [due, previewed] = [monthClosedAt(dueAt), monthClosedAt(end)];
    if (due > previewed) return null;
    // Earlier months are still to be closed. Until then the account's present plan is the best guess.
    if (due < previewed) return ratesOf.get(accountsOf) ?? null;
    const planId: string | null = row['statement_plan_id']!;
    // The account has left postpaid plans: remaining overage has the rates of its last statement.
    return planId === null ? storedRates(row['rates_before']) : (ratesOf.get(planId) ?? null);
  }
}

/**
 * The month whose statement is due then: at its end, which in every time zone is within a day of that in UTC, or up to
 * 25 days later.
 */
const monthClosedAt = (due: number): string => formatMonth(monthStart(due + 2 * DAY_MS) - 1);

const schema = overageRatesSchema(jsonIntegers).nullable();

const storedRates = (json: unknown): OverageRates | null => schema.parse(json ?? null);

async function ratesOfPlans(client: pg.Client): Promise<ReadonlyMap<string, OverageRates | null>> {
  const { rows } = await client.query<Row>(
    'select p.plan_id, v.terms from plans p join plan_versions v using (plan_id, version)',
  );
  return new Map(
    rows.map((row): [string, OverageRates | null] => [
      row['plan_id']!,
      planTermsFromJson(row['terms']!).terms.overage?.rates ?? null,
    ]),
  );
}
