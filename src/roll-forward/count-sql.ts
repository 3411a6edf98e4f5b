/** The SQL statement that counts pages of entries. Its rules are in README.md. */
import { kindCodes } from '../store/tables/codes.ts';

/** Letters of the buckets of a grant's unspent credits. See ledger/entry-content.ts. */
const UNSPENT = "('a', 'r')";

/** Kinds of entries that set unspent credits aside, and lose or gain none. */
const PASSED = kindCodes('RESERVE', 'RAISE', 'EXTEND');

/** What was paid for so many unspent credits of a grant, rounded to the nearest unit of the currency, halves up. */
const worth = (credits: string): string =>
  `coalesce(div(2 * t.price * (${credits}) + t.amount, 2 * t.amount), 0)`;

/**
 * $1 accounts, $2 the entry of each up to which it is counted; $3 currencies whose digits after the point are not 2, $4
 * those digits. Positions must be locked.
 */
export const COUNT_SQL = `
with page as (
  select p.account_id, p.seq as after, n.up_to, p.plan_id, p.remaining
  from unnest($1::text[], $2::bigint[]) n (account_id, up_to)
  join roll_forward_positions p using (account_id)
), entry as materialized (
  select e.account_id, e.seq, to_char(e.at at time zone 'UTC', 'YYYY-MM') as month, e.kind, e.plan_id, e.content
  from page p join entries e on e.account_id = p.account_id and e.seq > p.after and e.seq <= p.up_to
  where e.kind not in (${PASSED})
), plan_change as materialized (
  select account_id, seq, month, plan_id,
    lag(plan_id) over (partition by account_id order by seq) as previous
  from entry where kind = ${kindCodes('PLAN_CHANGE')}
), move as materialized (
  -- Those that move unspent credits, and refunds and reinstatements that reach no grant any more.
  select e.account_id, e.seq, m.number, e.month, e.kind, e.plan_id, m.grant_id, m.credits, m.source, m.target,
    case when m.source in ${UNSPENT} then -m.credits when m.target in ${UNSPENT} then m.credits else 0 end as gained
  from entry e
  cross join lateral (
    select number, (move ->> 1)::bigint as grant_id, (move ->> 2)::numeric as credits,
      left(move ->> 0, 1) as source, right(move ->> 0, 1) as target
    from json_array_elements(e.content -> 'm') with ordinality moves (move, number)
  ) m
  where m.grant_id <> 0 and (
    (m.source in ${UNSPENT}) <> (m.target in ${UNSPENT})
    or (m.source = 'c' and m.target in ('x', 'v'))
    or (m.source = 'i' and m.target = 'x' and e.kind = ${kindCodes('REINSTATE')})
  )
), held as materialized (
  -- The unspent credits of each grant before each move.
  select m.*, coalesce((p.remaining ->> m.grant_id::text)::numeric, 0)
    + coalesce(sum(m.gained) over (partition by m.account_id, m.grant_id order by m.seq, m.number
        rows between unbounded preceding and 1 preceding), 0) as held
  from move m join page p using (account_id)
), kept as materialized (
  -- The unspent credits of each grant before the page, and what the page changed.
  select account_id, grant_id, sum(credits) as before, sum(gained) as gained
  from (
    select p.account_id, r.key::bigint as grant_id, r.value::numeric as credits, 0 as gained
    from page p cross join lateral jsonb_each_text(p.remaining) r
    union all
    select account_id, grant_id, 0, gained from move
  ) parts
  group by account_id, grant_id
), terms as materialized (
  -- Each grant with what was paid for all of its credits.
  select g.account_id, g.grant_id, g.category, g.source, g.amount::numeric,
    coalesce(p.currency_paid, p.currency, '') as currency,
    round(coalesce(p.amount_paid, p.amount) * 10 ^ coalesce(d.decimals, 2)::numeric) as price
  from kept k
  join grants g on g.account_id = k.account_id and g.grant_id = k.grant_id
  left join purchases p on g.category = 'PAID' and g.source = 'PURCHASE' and p.account_id = g.account_id
    and p.grant_id = g.grant_id and p.state = 'PAID'
  left join unnest($3::text[], $4::int[]) d (code, decimals) on d.code = coalesce(p.currency_paid, p.currency)
), valued as (
  select h.*, t.category, t.currency, t.source as made_by,
    coalesce((select c.plan_id from plan_change c where c.account_id = h.account_id and c.seq < h.seq
      order by c.seq desc limit 1), p.plan_id) as account_plan,
    abs(${worth('h.held + case when h.gained = 0 then h.credits else h.gained end')} - ${worth('h.held')}) as amount
  from held h
  join page p using (account_id)
  join terms t on t.account_id = h.account_id and t.grant_id = h.grant_id
), movement as (
  select v.account_id, v.month, n.plan_id, v.category, v.currency, n.movement,
    n.sign * v.credits as credits, n.sign * v.amount as amount
  from valued v
  cross join lateral (
    select v.plan_id, 1, case
        when v.source in ${UNSPENT} then case v.target
          when 'x' then 'EXPIRED' when 'v' then 'VOIDED' when 'i' then 'CLAWED_BACK' else 'SPENT' end
        when v.source = 'c' then 'REFUNDED'
        when v.source <> 'i' or v.kind = ${kindCodes('REINSTATE')} then 'CORRECTED'
        when v.made_by = 'REFUND' then 'REFUNDED'
        else 'ISSUED' end
    -- What comes back too late for its grant expires or is voided at once.
    union all select v.plan_id, 1, case v.target when 'x' then 'EXPIRED' else 'VOIDED' end where v.gained = 0
    -- A job that is priced by the plan that its account has left.
    union all select v.plan_id, -sign(v.gained)::int, 'MOVED' where v.plan_id <> v.account_plan and v.gained <> 0
    union all select v.account_plan, sign(v.gained)::int, 'MOVED' where v.plan_id <> v.account_plan and v.gained <> 0
  ) n (plan_id, sign, movement)
  union all
  select c.account_id, c.month, n.plan_id, t.category, t.currency, 'MOVED', n.sign * l.credits,
    n.sign * ${worth('l.credits')}
  from plan_change c
  join page p using (account_id)
  join kept k using (account_id)
  join terms t on t.account_id = k.account_id and t.grant_id = k.grant_id
  cross join lateral (
    select k.before + coalesce((select sum(m.gained) from move m
      where m.account_id = c.account_id and m.grant_id = k.grant_id and m.seq < c.seq), 0) as credits
  ) l
  cross join lateral (values (coalesce(c.previous, p.plan_id), -1), (c.plan_id, 1)) n (plan_id, sign)
  where l.credits <> 0
), added as (
  insert into roll_forward_sums (account_id, month, plan_id, category, currency, movement, credits, amount)
  select account_id, month, plan_id, category, currency, movement, sum(credits), sum(amount)
  from movement group by account_id, month, plan_id, category, currency, movement
  order by account_id, month, plan_id, category, currency, movement
  on conflict (account_id, month, plan_id, category, currency, movement) do update set
    credits = roll_forward_sums.credits + excluded.credits,
    amount = roll_forward_sums.amount + excluded.amount
)
update roll_forward_positions set
  seq = p.up_to,
  plan_id = coalesce((select c.plan_id from plan_change c where c.account_id = p.account_id
    order by c.seq desc limit 1), p.plan_id),
  remaining = coalesce((select jsonb_object_agg(k.grant_id, (k.before + k.gained)::text)
    from kept k where k.account_id = p.account_id and k.before + k.gained <> 0), '{}')
from page p
where roll_forward_positions.account_id = p.account_id`;
