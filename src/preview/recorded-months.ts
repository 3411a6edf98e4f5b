/**
 * Reads what the books say of a month for every account of a plan: its overage, what prices that, and
 * what its grants had left. A closed statement is taken as it is stored; an open month is counted from
 * its entries by the rules of statements (see statements/README.md), in one query for all accounts.
 */
import type pg from 'pg';
import { formatMonth } from '../ledger/month.ts';
import { readWithCursor } from '../pg/cursor.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import type { OverageRates } from '../pricing/overage.ts';
import { overageRatesSchema } from '../pricing/plan-file/overage-schema.ts';
import { planTermsFromJson } from '../pricing/plan-file/plan-json.ts';
import { jsonIntegers } from '../pricing/plan-file/scalar-schemas.ts';
import type { RecordedMonth } from './overage.ts';

type Month = { readonly accountsOf: string; readonly from: number; readonly until: number };

const instant = (parameter: string) => `to_timestamp(${parameter}::float8 / 1000)`;
const FROM = instant('$2');
const UNTIL = instant('$3');

/**
 * Refunds of what was used in earlier months are those months' adjustments, and lower nothing here.
 * A grant's expiry is written when its account is next looked at: one that expired within the month
 * was not left at its end, whenever that was written, if it ever was.
 */
const MONTHS = `
  select a.account_id, ${millis('a.statement_due_at', 'due_at')}, a.statement_plan_id,
    s.month is not null as closed, s.content -> 'rates' as rates, before.rates as rates_before,
    coalesce(s.overage, used.overage) as overage,
    coalesce(at_end.available, 0) - expired.noted_later - expired.not_noted as available
  from accounts a
  left join statements s on s.account_id = a.account_id and s.month = $4
  left join lateral (
    select b.content -> 'rates' as rates from statements b
    where b.account_id = a.account_id and b.month < $4 order by b.month desc limit 1
  ) before on a.statement_plan_id is null
  cross join lateral (
    select coalesce(sum(case when m ->> 1 = 'consumed' then (m ->> 3)::bigint
                             when m ->> 0 = 'consumed' then -(m ->> 3)::bigint end), 0) as overage
    from entries e
    left join entries o on o.account_id = e.account_id and o.seq = e.refunded_seq
    cross join jsonb_array_elements(e.moves) m
    where e.account_id = a.account_id and e.at >= ${FROM} and e.at < ${UNTIL}
      and e.kind in ('COMMIT', 'CHARGE', 'REFUND') and (e.kind <> 'REFUND' or o.at >= ${FROM})
      and (m ->> 2)::bigint = 0
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
          and e.kind = 'GRANT_EXPIRED' and e.at >= ${UNTIL}
      )), 0) as noted_later,
      coalesce(sum(g.remaining - g.reserved), 0) as not_noted
    from grants g
    where g.account_id = a.account_id and g.expires_at < ${UNTIL}
  ) expired
  where a.plan_id = $1
  order by a.account_id`;

export type AccountMonth = RecordedMonth & { readonly accountId: string };

/** One for every account of the plan, in the order of the ids. */
export async function* readRecordedMonths(
  client: pg.Client,
  { accountsOf, from, until }: Month,
): AsyncGenerator<AccountMonth, void, void> {
  const ratesOf = await ratesOfPlans(client);
  const parameters = [accountsOf, from, until, formatMonth(from)];
  for await (const row of readWithCursor(client, 'months', MONTHS, parameters)) {
    const left = BigInt(row['available']!);
    yield {
      accountId: row['account_id']!,
      overage: BigInt(row['overage']!),
      rates: row['closed'] ? storedRates(row['rates']) : ratesOfOpen(row, until),
      left: left > 0n ? left : 0n,
    };
  }

  /** Whose rates will price a month that is not closed; null where no statement will close it. */
  function ratesOfOpen(row: Row, end: number): OverageRates | null {
    const dueAt: number | null = row['due_at']!;
    if (dueAt === null || dueAt > end) return null;
    // Months before it are still to be closed: until then the plan of today is the best there is.
    if (dueAt < end) return ratesOf.get(accountsOf) ?? null;
    const planId: string | null = row['statement_plan_id']!;
    // It has left postpaid plans: what still comes of them costs what it did when it was last billed.
    return planId === null ? storedRates(row['rates_before']) : (ratesOf.get(planId) ?? null);
  }
}

const schema = overageRatesSchema(jsonIntegers).nullable();

const storedRates = (json: unknown): OverageRates | null => schema.parse(json ?? null);

async function ratesOfPlans(client: pg.Client): Promise<ReadonlyMap<string, OverageRates | null>> {
  const { rows } = await client.query<Row>('select plan_id, terms from plans');
  return new Map(
    rows.map((row): [string, OverageRates | null] => [
      row['plan_id']!,
      planTermsFromJson(row['terms']!).terms.overage?.rates ?? null,
    ]),
  );
}
