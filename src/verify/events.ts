/**
 * Events. Those of an account are numbered without gaps. For each level, what says that it is low and
 * `balance.recovered` alternate, and the last of them agrees with the account's row. A grant that is
 * stranded has an event that says so. Over all accounts, positions have no gaps, and from the first
 * delivery on every event has one.
 */
import type pg from 'pg';
import type { Account } from '../ledger/account.ts';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import type { Row } from '../pg/table.ts';
import { type AccountGroup, findAccount, grantsOf } from './account-group.ts';
import type { Discrepancy, Report } from './findings.ts';
import type { InRange } from './snapshot.ts';

const events = (inRange: InRange) => `
  select account_id, seq, type, position, data->>'level' as level,
    (data->>'usable')::numeric as usable, (data->>'threshold')::numeric as threshold,
    data->>'grant_id' as grant_id
  from events where ${inRange('account_id')} order by account_id, seq`;

/** What the events of an account said so far. */
class EventHistory {
  seq = 0n;
  position: bigint | null = 0n;
  /** The levels whose newest event says that they are low. */
  readonly lowLevels = new Set<string>();
  /** The grants of which an event says that they are stranded. */
  readonly stranded = new Set<string>();
}

export async function checkEvents(group: AccountGroup): Promise<void> {
  const histories = new Map<string, EventHistory>();
  for await (const row of group.snapshot.rows(events)) {
    const account = findAccount(group, row, 'events');
    if (!account) continue;
    const { accountId } = account;
    const history = histories.get(accountId) ?? new EventHistory();
    histories.set(accountId, history);
    const report = (what: string) => group.findings.add(accountId, `event ${row['seq']}: ${what}`);
    checkOrder(row, history, report);
    checkCrossing(row, history, report);
    if (row['type'] === 'grant.stranded') history.stranded.add(row['grant_id']!);
  }
  for (const account of group.accounts.values())
    checkAccount(group, account, histories.get(account.accountId) ?? new EventHistory());
}

function checkAccount(
  group: AccountGroup,
  { accountId, eventCount, lowLevels }: Account,
  history: EventHistory,
) {
  const report = (what: string) => group.findings.add(accountId, what);
  if (eventCount !== history.seq)
    report(`event_count is ${eventCount}, the newest event is ${history.seq}`);
  const stated = [...(lowLevels ?? [])].sort().join(', ');
  const said = [...history.lowLevels].sort().join(', ');
  if (stated !== said)
    report(`low_levels are ${stated || 'none'}, the events say ${said || 'none'}`);
  for (const { grantId, stranded } of grantsOf(group, accountId).values())
    if (stranded && !history.stranded.has(grantId.toString()))
      report(`grant ${grantId}: it is stranded, and no event said so`);
}

function checkOrder(row: Row, history: EventHistory, report: Report) {
  const seq = BigInt(row['seq']!);
  const position = row['position'] === null ? null : BigInt(row['position']!);
  if (seq !== history.seq + 1n)
    report(history.seq === 0n ? 'is the first event' : `comes right after event ${history.seq}`);
  if (position !== null && (history.position === null || position <= history.position))
    report(`its position ${position} is not after ${history.position ?? 'that of the one before'}`);
  history.seq = seq;
  history.position = position;
}

/** Events of releases that knew no levels name none, and are not checked. */
function checkCrossing(row: Row, { lowLevels }: EventHistory, report: Report) {
  const type: string = row['type']!;
  const level: string | null = row['level']!;
  if (level === null || !type.startsWith('balance.')) return;
  const [usable, threshold] = [BigInt(row['usable']!), BigInt(row['threshold']!)];
  const low = type !== 'balance.recovered';
  if (low === lowLevels.has(level)) report(`says ${type} of level ${level} a second time`);
  if ((level === '0') !== (type === 'balance.depleted') && low)
    report(`says ${type} of level ${level}`);
  const isTrue = low
    ? usable < threshold || usable === 0n
    : usable * 10n >= threshold * 11n && (usable > 0n || level !== '0');
  if (!isTrue) report(`says ${type}, and its data says otherwise`);
  if (low) lowLevels.add(level);
  else lowLevels.delete(level);
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
  select null,
    format('the newest position is %s, the cursor says %s', newest, cursor)
  from (
    select coalesce((select max(position) from placed), 0) as newest,
      (select position from event_cursors where name = 'assigned') as cursor
  ) reached
  where newest is distinct from cursor`;

/** Checks what spans accounts, in a snapshot of its own. */
export async function checkPositions(client: pg.Client): Promise<readonly Discrepancy[]> {
  return await inReadOnlySnapshot(client, async () => {
    const { rows } = await client.query<{ account_id: string | null; what: string }>(
      `${POSITION_ERRORS} limit 100`,
    );
    return rows.map(({ account_id: accountId, what }) => ({ accountId, what }));
  });
}
