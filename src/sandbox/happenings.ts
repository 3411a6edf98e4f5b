/** What has happened in a sandbox between two instants: its entries by their kind, statements and declined top-ups. */
import { fromMillis, millis } from '../pg/millis.ts';
import type { Em } from '../pg/orm.ts';
import { query } from '../pg/query.ts';
import { KIND_CODES } from '../store/tables/codes.ts';

export type Happening = {
  readonly what: string;
  readonly count: bigint;
  readonly accounts: bigint;
  readonly credits: bigint;
  /** Epoch milliseconds. */
  readonly firstAt: number;
  readonly lastAt: number;
};

/** In words, where the kind of an entry alone does not say it. */
const WORDS = `case
  when kind = ${KIND_CODES.GRANT} and grants.source = 'ALLOWANCE' then 'allowance granted'
  when kind = ${KIND_CODES.GRANT} then 'credits granted'
  when kind = ${KIND_CODES.GRANT_EFFECTIVE} then 'grant began'
  when kind = ${KIND_CODES.GRANT_EXPIRED} then 'credits expired'
  when kind = ${KIND_CODES.EXPIRE} then 'reservation expired'
  when kind = ${KIND_CODES.PURCHASE} and purchases.method = 'TOP_UP' then 'top-up paid'
  when kind = ${KIND_CODES.PURCHASE} then 'purchase paid'
  when kind = ${KIND_CODES.PAYMENT} then 'purchase ' || lower(purchases.state)
  when kind = ${KIND_CODES.CHECKOUT} and purchases.method = 'TOP_UP' then 'top-up started'
  when kind = ${KIND_CODES.CHECKOUT} then 'checkout opened'
  else lower(replace((array[${Object.entries(KIND_CODES)
    .toSorted(([, a], [, b]) => a - b)
    .map(([name]) => `'${name}'`)
    .join(', ')}])[kind], '_', ' '))
end`;

/** In the order in which each first happened. `since` is left out, `until` is not; both in epoch milliseconds. */
export async function findHappenings(
  em: Em,
  since: number,
  until: number,
): Promise<readonly Happening[]> {
  const within = (column: string) =>
    `${column} > ${fromMillis('$1')} and ${column} <= ${fromMillis('$2')}`;
  const rows = await query<Record<keyof Happening | 'first_at' | 'last_at', string>>(
    em,
    `select what, count(*)::text as count, count(distinct account_id)::text as accounts,
       coalesce(sum(credits), 0)::text as credits, ${millis('min(at)', 'first_at')},
       ${millis('max(at)', 'last_at')}
     from (
       select ${WORDS} as what, entries.account_id, entries.credits, entries.at
       from entries
       left join grants on grants.account_id = entries.account_id and grants.grant_id = entries.grant_id
       left join purchases on purchases.account_id = entries.account_id
         and purchases.purchase_id = entries.purchase_id
       where ${within('entries.at')}
         -- Of a top-up that was declined, the event tells.
         and not (kind = ${KIND_CODES.PAYMENT} and purchases.method = 'TOP_UP')
       union all
       select 'statement closed', account_id, overage, closed_at from statements
       where ${within('closed_at')}
       union all
       select case type when 'top_up.failed' then 'top-up declined' else 'top-up switched off' end,
         account_id, 0, at
       from events where type in ('top_up.failed', 'top_up.disabled') and ${within('at')}
     ) as happened (what, account_id, credits, at)
     group by what order by min(at), what`,
    [since, until],
  );
  return rows.map((row) => ({
    what: row.what,
    count: BigInt(row.count),
    accounts: BigInt(row.accounts),
    credits: BigInt(row.credits),
    firstAt: Number(row.first_at),
    lastAt: Number(row.last_at),
  }));
}
