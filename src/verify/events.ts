/**
 * Events. Those of an account are numbered without gaps. For each level, what says that it is low and
 * `balance.recovered` alternate, and the last of them agrees with the account's row. A grant that is
 * stranded has an event that says so. Over all accounts, positions have no gaps, and from the first
 * delivery on every event has one.
 */
import type pg from 'pg';
import { canonicalJson } from '../canonical.ts';
import type { Account } from '../ledger/account.ts';
import { inReadOnlySnapshot } from '../pg/cursor.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { events as table } from '../store/tables/events.ts';
import {
  type AccountGroup,
  type EventSeal,
  erasureOf,
  findAccount,
  grantsOf,
} from './account-group.ts';
import { ERASED_EVENTS, type Erasure } from './erasure.ts';
import { EventSeals } from './event-seals.ts';
import type { Discrepancy, Report } from './findings.ts';
import type { InRange } from './snapshot.ts';

/** With the statement that an event says was closed. */
const events = (inRange: InRange) => `
  select ${table.selectListOf('e')}, e.salt, e.data_hash, e.hash, s.month, s.plan_id, ${millis('s.closed_at', 'closed_at')},
    s.after_seq, s.last_seq, s.overage, s.currency, s.total::text, s.content
  from events e
  left join statements s on e.type = 'statement.closed' and s.account_id = e.account_id
    and s.month = e.data ->> 'month'
  where ${inRange('e.account_id')} order by e.account_id, e.seq`;

/** What the events of an account said so far. */
class EventHistory {
  seq = 0n;
  position: bigint | null = 0n;
  /** The levels whose newest event says that they are low. */
  readonly lowLevels = new Set<string>();
  readonly seals: EventSeals;
  /** The last event that says that the service has switched auto top-up off. */
  topUpDisabled: { readonly seq: bigint; readonly at: number } | null = null;
  /** The grants of which an event says that they are stranded. */
  readonly stranded = new Set<string>();

  constructor(seals: readonly EventSeal[]) {
    this.seals = new EventSeals(seals);
  }
}

export async function checkEvents(group: AccountGroup): Promise<void> {
  const histories = new Map<string, EventHistory>();
  const sealsOf = (accountId: string) => group.eventSeals.get(accountId) ?? [];
  for await (const row of group.snapshot.rows(events)) {
    const account = findAccount(group, row, 'events');
    if (!account) continue;
    const { accountId } = account;
    const history = histories.get(accountId) ?? new EventHistory(sealsOf(accountId));
    histories.set(accountId, history);
    const report = (what: string) => group.findings.add(accountId, `event ${row['seq']}: ${what}`);
    const data = dataOf(row);
    checkOrder(row, history, report);
    checkErased(row, erasureOf(group, accountId), report);
    history.seals.apply(row, report, (what) => group.findings.add(accountId, what));
    checkCrossing(row['type']!, data, history, report);
    if (row['type'] === 'top_up.disabled')
      history.topUpDisabled = { seq: history.seq, at: row['at']! };
    if (row['type'] === 'grant.stranded') history.stranded.add(data['grant_id'] ?? '');
  }
  for (const account of group.accounts.values())
    checkAccount(
      group,
      account,
      histories.get(account.accountId) ?? new EventHistory(sealsOf(account.accountId)),
    );
}

function checkAccount(group: AccountGroup, account: Account, history: EventHistory) {
  const { accountId, eventCount, lowLevels } = account;
  const report = (what: string) => group.findings.add(accountId, what);
  history.seals.finish(account, report);
  const since = group.topUpsSince.get(accountId);
  if (since !== undefined) checkTopUpsOn(account, since, history, report);
  if (eventCount !== history.seq)
    report(`event_count is ${eventCount}, the newest event is ${history.seq}`);
  if (
    lowLevels !== null &&
    !(Array.isArray(lowLevels) && lowLevels.every((of) => typeof of === 'string'))
  )
    report('low_levels cannot be read');
  const stated = (Array.isArray(lowLevels) ? lowLevels : []).toSorted().join(', ');
  const said = [...history.lowLevels].sort().join(', ');
  if (stated !== said)
    report(`low_levels are ${stated || 'none'}, the events say ${said || 'none'}`);
  for (const { grantId, stranded } of grantsOf(group, accountId).values())
    if (stranded && !history.stranded.has(grantId.toString()))
      report(`grant ${grantId}: it is stranded, and no event said so`);
}

/** Auto top-up, which an entry of that time switched on. An event of the same time may be from before it or after. */
function checkTopUpsOn(
  { autoTopUp }: Account,
  since: number,
  { topUpDisabled }: EventHistory,
  report: Report,
) {
  const disabledAt = topUpDisabled?.at ?? Number.NEGATIVE_INFINITY;
  if (autoTopUp === null && disabledAt < since)
    report(
      'auto_top_up is off, the entries say that it is on, and no event that it was switched off',
    );
  if (autoTopUp !== null && disabledAt > since)
    report(`auto_top_up is on, and event ${topUpDisabled?.seq} says that it was switched off`);
}

function checkOrder(row: Row, history: EventHistory, report: Report) {
  const seq = BigInt(row['seq']!);
  const position = row['position'] === null ? null : BigInt(row['position']!);
  if (seq !== history.seq + 1n)
    report(history.seq === 0n ? 'is the first event' : `comes right after event ${history.seq}`);
  // Below 0 it is of another cell: those of several have no order.
  const isGivenHere = position !== null && position > 0n;
  if (
    (position !== null && history.position === null) ||
    (isGivenHere && position <= (history.position ?? 0n))
  )
    report(`its position ${position} is not after ${history.position ?? 'that of the one before'}`);
  history.seq = seq;
  if (position === null || isGivenHere) history.position = position;
}

/** Data without a salt are erased. */
function checkErased(row: Row, { events, ended }: Erasure, report: Report) {
  const seq = BigInt(row['seq']!);
  const isErasable = (upTo: bigint) => ERASED_EVENTS.includes(row['type']!) && seq <= upTo;
  if (row['salt'] !== null) {
    if (ended && isErasable(ended.events)) report(`it has data, entry ${ended.seq} erased them`);
    return;
  }
  if (!isErasable(events)) report('its data were erased, and no entry says so');
  if (canonicalJson(row['data']) !== '{}') report('its data were erased, and it has some');
}

type Data = Readonly<Record<string, string>>;

/** May be any JSON. */
function dataOf(row: Row): Data {
  const data: unknown = row['data'];
  return typeof data === 'object' && data !== null ? (data as Data) : {};
}

const INTEGER = /^-?\d+$/;

function checkCrossing(type: string, data: Data, { lowLevels }: EventHistory, report: Report) {
  if (!type.startsWith('balance.')) return;
  const { level, usable, threshold } = data;
  if (typeof level !== 'string' || ![usable, threshold].every((text) => INTEGER.test(text ?? '')))
    return report('its data cannot be read');
  const low = type !== 'balance.recovered';
  if (low === lowLevels.has(level)) report(`says ${type} of level ${level} a second time`);
  if ((level === '0') !== (type === 'balance.depleted') && low)
    report(`says ${type} of level ${level}`);
  if (!isTrue(level, low, BigInt(usable ?? 0), BigInt(threshold ?? 0)))
    report(`says ${type}, and its data says otherwise`);
  if (low) lowLevels.add(level);
  else lowLevels.delete(level);
}

function isTrue(level: string, low: boolean, usable: bigint, threshold: bigint): boolean {
  if (low) return usable < threshold || usable === 0n;
  return usable * 10n >= threshold * 11n && (usable > 0n || level !== '0');
}

/** Gaps in the positions, events without a delivery, and a wrong cursor. */
const POSITION_ERRORS = `
  with placed as (
    select account_id, event_id, position, lag(position, 1, 0::bigint) over (order by position) as before
    from (
      select account_id, event_id, position from events where position > 0
      union all select account_id, event_id, position from moved_events
    ) given
  )
  select account_id, format('event %s: position %s follows %s', event_id, position, before) as what
  from placed where position <> before + 1
  union all
  select account_id, format('event %s: it has no delivery', event_id)
  from events left join deliveries d using (account_id, event_id)
  where d.event_id is null
    and events.position > (select min(position) from deliveries where position > 0)
    and events.position <= (select position from event_cursors where name = 'enqueued')
  union all
  select account_id, format('delivery of event %s: its position is %s, that of the event is %s',
    event_id, d.position, coalesce(events.position::text, 'none'))
  from deliveries d left join events using (account_id, event_id)
  where events.position is distinct from d.position
  union all
  select null, format('the newest delivery is of position %s, the cursor says %s', newest, cursor)
  from (
    select (select max(position) from deliveries where position > 0) as newest,
      (select position from event_cursors where name = 'enqueued') as cursor
  ) reached
  where newest is not null and newest is distinct from cursor
    and not exists (select from moved_events where position = cursor)
  union all
  select account_id, format('event %s: it is in another cell, says its position %s, and the account is here',
    event_id, position)
  from moved_events join accounts using (account_id)
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
