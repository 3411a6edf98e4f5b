/**
 * Events. Those of an account are numbered without gaps; `balance.low` and `balance.recovered` alternate,
 * and the last of them agrees with the account's row. Over all accounts, positions have no gaps, and
 * from the first delivery on every event has one.
 */
import type pg from 'pg';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';
import { type AccountGroup, findAccount } from './account-group.ts';
import type { Discrepancy, Report } from './findings.ts';
import type { InRange } from './snapshot.ts';

const events = (inRange: InRange) => `
  select account_id, seq, type, position,
    (data->>'available')::numeric < (data->>'threshold')::numeric as below
  from events where ${inRange('account_id')} order by account_id, seq`;

/** The state of an account after some of its events. `low` is null before the first event about it. */
type EventState = { seq: bigint; position: bigint | null; low: boolean | null };

export async function checkEvents(group: AccountGroup): Promise<void> {
  const states = new Map<string, EventState>();
  for await (const row of group.snapshot.rows(events)) {
    const account = findAccount(group, row, 'events');
    if (!account) continue;
    const { accountId } = account;
    const before = states.get(accountId) ?? { seq: 0n, position: 0n, low: null };
    const report = (what: string) => group.findings.add(accountId, `event ${row['seq']}: ${what}`);
    states.set(accountId, checkEvent(row, before, report));
  }
  for (const { accountId, eventCount, lowBalance } of group.accounts.values()) {
    const { seq, low } = states.get(accountId) ?? { seq: 0n, low: null };
    const report = (what: string) => group.findings.add(accountId, what);
    if (eventCount !== seq) report(`event_count is ${eventCount}, the newest event is ${seq}`);
    if (low !== null && low !== lowBalance)
      report(`low_balance is ${lowBalance}, the newest event says ${low}`);
  }
}

function checkEvent(row: Row, before: EventState, report: Report): EventState {
  const seq = BigInt(row['seq']!);
  const type: string = row['type']!;
  const position = row['position'] === null ? null : BigInt(row['position']!);
  if (seq !== before.seq + 1n)
    report(before.seq === 0n ? 'is the first event' : `comes right after event ${before.seq}`);
  if (position !== null && (before.position === null || position <= before.position))
    report(`its position ${position} is not after ${before.position ?? 'that of the one before'}`);
  if (type !== 'balance.low' && type !== 'balance.recovered') return { ...before, seq, position };
  const low = type === 'balance.low';
  if (low === before.low) report(`says ${type} a second time`);
  if (row['below'] !== low) report(`says ${type}, and its data says otherwise`);
  return { seq, position, low };
}

/** Gaps in the positions, events without a delivery, and a wrong cursor. */
const POSITION_ERRORS = `
  with placed as (
    select account_id, event_id, position, lag(position, 1, 0::bigint) over (order by position) as before
    from events where position is not null
  )
  select account_id, format('event %s: position %s follows %s', event_id, position, before) as what
  from placed where position <> before + 1
  union all
  select account_id, format('event %s: it has no delivery', event_id)
  from events left join deliveries d using (account_id, event_id)
  where d.event_id is null
    and events.position > (select min(position) from deliveries)
    and events.position <= (select position from event_cursors where name = 'enqueued')
  union all
  select coalesce((select account_id from placed order by position desc limit 1), ''),
    format('the newest position is %s, the cursor says %s', newest, cursor)
  from (
    select coalesce((select max(position) from placed), 0) as newest,
      (select position from event_cursors where name = 'assigned') as cursor
  ) reached
  where newest is distinct from cursor`;

/** Checks what spans accounts, in a snapshot of its own. */
export async function checkPositions(client: pg.Client): Promise<readonly Discrepancy[]> {
  return await inReadOnlySnapshot(client, async () => {
    const { rows } = await client.query<{ account_id: string; what: string }>(
      `${POSITION_ERRORS} limit 100`,
    );
    return rows.map(({ account_id: accountId, what }) => ({ accountId, what }));
  });
}
