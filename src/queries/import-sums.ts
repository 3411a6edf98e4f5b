/** Sums of imports, by plan: read from the entries that they wrote, not from what the service knows of them. */
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import type { AccountScope } from '../policy/permissions.ts';
import { trimZeros } from '../pricing/money.ts';
import type { Money } from '../pricing/plan.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { Conditions } from './conditions.ts';
import { addScope } from './scope-condition.ts';

export type ImportSums = {
  readonly planId: string;
  readonly accounts: bigint;
  readonly grants: bigint;
  readonly purchases: bigint;
  readonly granted: bigint;
  readonly spent: bigint;
  readonly spentThisMonth: bigint;
  readonly expired: bigint;
  readonly overage: bigint;
  /** Sorted by currency. */
  readonly paid: readonly Money[];
};

type SumsRow = { readonly plan_id: string } & Readonly<
  Record<
    | 'accounts'
    | 'grants'
    | 'purchases'
    | 'granted'
    | 'spent_before'
    | 'spent_this_month'
    | 'expired'
    | 'overage',
    string
  >
>;
type PaidRow = { readonly plan_id: string; readonly currency: string; readonly amount: string };

/** What imports have written of these accounts, as far as the scope allows to see them. */
export async function sumImportsOf(
  em: Em,
  accountIds: readonly string[],
  scope: AccountScope | null,
): Promise<readonly ImportSums[]> {
  const where = new Conditions(['a.account_id = any($1::text[])'], [accountIds]);
  addScope(where, scope, 'a.account_id');
  // The IMPORT entry is the last of its request: what follows it happened here.
  const imported = `
    with imported as (
      select i.account_id, i.seq, i.plan_id from accounts a
      join entries i on i.account_id = a.account_id and i.kind = ${kindCodes('IMPORT')}
      where ${where}
    ), written as (
      select i.plan_id, e.account_id, e.kind, e.credits, e.content, e.purchase_id
      from imported i join entries e on e.account_id = i.account_id and e.seq <= i.seq
    )`;
  const [sums, paid] = await Promise.all([
    query<SumsRow>(em, `${imported} ${SUMS}`, where.parameters),
    query<PaidRow>(em, `${imported} ${PAID}`, where.parameters),
  ]);
  const moneyOf = Map.groupBy(paid, ({ plan_id }) => plan_id);
  return sums.map((row) => toSums(row, moneyOf.get(row.plan_id) ?? []));
}

const OF_GRANTS = `w.kind in (${kindCodes('GRANT', 'PURCHASE')})`;

const SUMS = `
  select w.plan_id,
    count(*) filter (where w.kind = ${kindCodes('IMPORT')}) as accounts,
    count(*) filter (where w.kind = ${kindCodes('GRANT')}) as grants,
    count(*) filter (where w.kind = ${kindCodes('PURCHASE')}) as purchases,
    coalesce(sum(w.credits) filter (where ${OF_GRANTS}), 0) as granted,
    coalesce(sum(m.consumed) filter (where ${OF_GRANTS}), 0) as spent_before,
    coalesce(sum(m.consumed) filter (where w.kind = ${kindCodes('IMPORT')}), 0) as spent_this_month,
    coalesce(sum(m.expired), 0) as expired,
    coalesce(sum(m.overage), 0) as overage
  from written w cross join lateral (
    select
      sum((move ->> 2)::numeric) filter (where move ->> 0 in ('ic', 'ac')) as consumed,
      sum((move ->> 2)::numeric) filter (where move ->> 0 = 'ix') as expired,
      sum((move ->> 2)::numeric) filter (where move ->> 0 = 'oc') as overage
    from json_array_elements(w.content -> 'm') move
  ) m
  group by w.plan_id order by w.plan_id`;

const PAID = `
  select w.plan_id, p.currency, sum(p.amount)::text as amount
  from written w join purchases p using (account_id, purchase_id)
  group by w.plan_id, p.currency order by w.plan_id, p.currency`;

function toSums(row: SumsRow, paid: readonly PaidRow[]): ImportSums {
  const spentThisMonth = BigInt(row.spent_this_month);
  return {
    planId: row.plan_id,
    accounts: BigInt(row.accounts),
    grants: BigInt(row.grants),
    purchases: BigInt(row.purchases),
    granted: BigInt(row.granted),
    spent: BigInt(row.spent_before) + spentThisMonth,
    spentThisMonth,
    expired: BigInt(row.expired),
    overage: BigInt(row.overage),
    paid: paid.map(({ currency, amount }) => trimZeros({ currency, amount })),
  };
}
