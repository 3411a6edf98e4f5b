/** Recomputes every closed statement from the entries of its account, and compares the two. */
import type { Account } from '../ledger/account.ts';
import type { StoredEntry } from '../ledger/entry.ts';
import type { Statement } from '../ledger/statement.ts';
import { millis } from '../pg/millis.ts';
import type { Row } from '../pg/table.ts';
import { kindCodes } from '../store/tables/codes.ts';
import { statements as table } from '../store/tables/statements.ts';
import { type AccountGroup, findAccount, grantsOf, groupRows } from './account-group.ts';
import { contentOf, kindOf, usagesOf } from './entry-rows.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';
import type { ClosedMonths } from './schedule.ts';
import type { InRange, Snapshot } from './snapshot.ts';
import { checkBill } from './statement-bill.ts';
import {
  type Month,
  type PlanAt,
  type StatementEntry,
  StatementTally,
  type Usage,
} from './statement-tally.ts';
import { intervalAt, monthEnd, monthNamed } from './zone-periods.ts';

/** By account with statements. Later entries cannot be before the end of the last closed month. */
export async function loadClosedMonths(
  snapshot: Snapshot,
  accounts: AccountGroup['accounts'],
): Promise<ReadonlyMap<string, ClosedMonths>> {
  const closed = new Map<string, ClosedMonths>();
  const rows = snapshot.rows(
    (inRange) =>
      `select account_id, max(month) as month, ${millis('max(closed_at)', 'closed_at')} from statements
       where ${inRange('account_id')} group by account_id`,
  );
  for await (const row of rows) {
    const { timeZones = null } = accounts.get(row['account_id']!) ?? {};
    const until = monthEnd(timeZones, row['month']!);
    closed.set(row['account_id']!, { until, at: row['closed_at']! });
  }
  return closed;
}

const COMMIT = kindCodes('COMMIT');

/**
 * The entries of accounts that have statements. A commit without usages has those of its reservation, and
 * the credits that earlier commits charged.
 */
const entriesWithReserved = (inRange: InRange) => `
  with own as (
    select account_id, seq, at, kind, content, refunded_seq, reservation_id, plan_id, plan_version,
      case when kind = ${COMMIT} then sum(credits) filter (where kind = ${COMMIT}) over (
        partition by account_id, reservation_id order by seq
        rows between unbounded preceding and 1 preceding) end as committed_before
    from entries where ${inRange('account_id')}
      and account_id in (select account_id from statements where ${inRange('account_id')})
  )
  select t.account_id, t.seq, ${millis('t.at', 'at')}, t.kind, t.content, t.refunded_seq, t.plan_id, t.plan_version,
    t.committed_before, r.content -> 'u' as reserved, f.seq is not null as will_be_refunded
  from own t
  left join (select distinct account_id, refunded_seq as seq from own) f using (account_id, seq)
  left join own r on t.kind = ${COMMIT} and t.content -> 'u' is null and r.kind = ${kindCodes('RESERVE')}
    and r.account_id = t.account_id and r.reservation_id = t.reservation_id
  order by t.account_id, t.seq`;

const statementsInOrder = (inRange: InRange) => `
  select ${table.selectList} from statements where ${inRange('account_id')}
  order by account_id, month`;

/** Months whose closing an event announced, without a statement. */
const missingStatements = (inRange: InRange) => `
  select e.account_id, e.data->>'month' as month from events e
  left join statements s on s.account_id = e.account_id and s.month = e.data->>'month'
  where ${inRange('e.account_id')} and e.type = 'statement.closed' and s.month is null
  order by e.account_id, month`;

/** Statements that no event announced. */
const unannounced = (inRange: InRange) => `
  select s.account_id, s.month from statements s
  left join events e on e.account_id = s.account_id and e.type = 'statement.closed'
    and e.data->>'month' = s.month
  where ${inRange('s.account_id')} and e.event_id is null
  order by s.account_id, s.month`;

export async function checkStatements(group: AccountGroup): Promise<void> {
  const entries = group.snapshot.rows(entriesWithReserved);
  let next = await entries.next();
  for await (const accountRows of groupRows(group.snapshot.rows(statementsInOrder), 'account_id')) {
    const accountId: string = accountRows[0]['account_id']!;
    const { timeZones = null } = group.accounts.get(accountId) ?? {};
    const tally = new StatementTally(timeZones);
    for (; !next.done && next.value['account_id'] === accountId; next = await entries.next())
      addEntry(tally, next.value);
    const account = findAccount(group, accountRows[0], 'statements');
    if (account) checkAccount(group, account, accountRows, tally);
  }
  for await (const row of group.snapshot.rows(missingStatements))
    group.findings.add(
      row['account_id']!,
      `there is no statement ${row['month']}, and an event says that it was closed`,
    );
  for await (const row of group.snapshot.rows(unannounced))
    if (findAccount(group, row, 'statements'))
      group.findings.add(
        row['account_id']!,
        `statement ${row['month']}: no event says that it was closed`,
      );
}

/** Leaves out entries that cannot be read, which entries.ts reports. */
function addEntry(tally: StatementTally, row: Row) {
  const entry = toEntry(row);
  if (entry) tally.add(entry);
}

function toEntry(row: Row): StatementEntry | null {
  const kind = kindOf(row['kind']);
  const content = kind && contentOf(row['content'], kind);
  if (!content || !Number.isFinite(row['at'])) return null;
  return {
    seq: BigInt(row['seq']!),
    at: row['at']!,
    usedAt: content.usedAt,
    planId: row['plan_id']!,
    planVersion: row['plan_version']!,
    kind,
    moves: content.moves,
    usages: toUsages(content.usages),
    reserved: toUsages(usagesOf(row['reserved'])),
    committedBefore: row['committed_before'] === null ? null : BigInt(row['committed_before']!),
    refundedSeq: row['refunded_seq'] === null ? null : BigInt(row['refunded_seq']!),
    willBeRefunded: row['will_be_refunded']!,
  };
}

const toUsages = (usages: StoredEntry['usages']): readonly Usage[] =>
  usages.map(({ usage: { operation, count }, credits }) => ({ operation, count, credits }));

function checkAccount(
  group: AccountGroup,
  account: Account,
  rows: readonly Row[],
  tally: StatementTally,
) {
  const { accountId } = account;
  const statements: Statement[] = [];
  for (const row of rows) {
    const report = (what: string) =>
      group.findings.add(accountId, `statement ${row['month']}: ${what}`);
    const statement = parseStatement(row, report);
    if (!statement) continue;
    const month = tally.month(statement.month);
    checkPeriod(account, statement, tally, report);
    checkWindow(group, account, statement, tally, report);
    checkUsage(statement, month, report);
    checkOwed(statement, month, report);
    checkCategories(statement, month, grantsOf(group, accountId), report);
    checkBill(statement, month, tally, statements, report);
    statements.push(statement);
  }
  checkMissing(group, account, statements, tally);
}

function parseStatement(row: Row, report: Report): Statement | null {
  try {
    return table.read(row);
  } catch {
    report('cannot be read');
    return null;
  }
}

/** The entries that it covers, and that its month was over. */
function checkPeriod(
  { openedAt, statementDueAt, timeZones }: Account,
  { month, closedAt, afterSeq, lastSeq }: Statement,
  { months }: StatementTally,
  report: Report,
) {
  let before = 0n;
  let last = 0n;
  for (const [name, { lastSeq: newest }] of months) {
    if (name < month && newest > before) before = newest;
    if (name <= month && newest > last) last = newest;
  }
  if (afterSeq !== before) report(`after_seq is ${afterSeq}, the entries say ${before}`);
  if (lastSeq !== last) report(`last_seq is ${lastSeq}, the entries say ${last}`);
  const end = monthEnd(timeZones, month);
  if (closedAt === null || closedAt < end) report(`its month ends at ${instant(end)}`);
  if (month < monthNamed(timeZones, openedAt))
    report(`the account was opened at ${instant(openedAt)}`);
  if (statementDueAt !== null && intervalAt(timeZones, 'MONTH', statementDueAt).from <= end)
    report(`statement_due_at is ${instant(statementDueAt)}`);
}

/** Late usage of the plan that the account had at the month's end could come until it was closed. */
function checkWindow(
  { published }: AccountGroup,
  { timeZones }: Account,
  { month, closedAt }: Statement,
  { plans }: StatementTally,
  report: Report,
) {
  let last: PlanAt | null = null;
  for (const [name, plan] of plans) if (name <= month) last = plan;
  if (!last || closedAt === null || !published.hasOverage(last.planId, last.planVersion)) return;
  const window = Math.min(...published.lateUsages(last.planId, last.planVersion));
  const until = monthEnd(timeZones, month) + window;
  if (closedAt < until)
    report(`it was closed at ${instant(closedAt)}, late usage could come until ${instant(until)}`);
}

function checkOwed({ owed, owedPaid }: Statement, month: Month, report: Report) {
  if (owed !== month.owed) report(`owed is ${owed}, the entries say ${month.owed}`);
  if (owedPaid !== month.owedPaid)
    report(`owed_paid is ${owedPaid}, the entries say ${month.owedPaid}`);
}

function checkUsage({ usage }: Statement, { operations }: Month, report: Report) {
  const stated = new Map(
    usage.map(({ operation, count, credits, refunded }) => [
      operation,
      `${count} times, ${credits} credits, ${refunded} refunded`,
    ]),
  );
  for (const operation of new Set([...stated.keys(), ...operations.keys()])) {
    const used = operations.get(operation);
    const computed =
      used && `${used.count} times, ${used.credits} credits, ${used.refunded} refunded`;
    if (stated.get(operation) !== computed)
      report(
        `usage of ${operation || 'no operation'} is ${stated.get(operation)}, the entries say ${computed}`,
      );
  }
}

function checkCategories(
  { creditsUsed }: Statement,
  { byGrant }: Month,
  grants: ReturnType<typeof grantsOf>,
  report: Report,
) {
  const used = new Map<string, bigint>();
  for (const [grantId, credits] of byGrant) {
    const category = grants.get(grantId)?.category ?? 'none';
    used.set(category, (used.get(category) ?? 0n) + credits);
  }
  for (const category of ['PAID', 'PROMOTIONAL', 'ALLOWANCE', 'ADJUSTMENT'] as const) {
    const stated = creditsUsed.get(category) ?? 0n;
    const computed = used.get(category) ?? 0n;
    if (stated !== computed)
      report(`${category} credits used are ${stated}, the entries say ${computed}`);
  }
}

/** After an account's first statement, every closed month with overage or refunds of it has one. */
function checkMissing(
  { findings }: AccountGroup,
  { accountId, statementDueAt, timeZones }: Account,
  statements: readonly Statement[],
  { months }: StatementTally,
) {
  const closed = new Set(statements.map(({ month }) => month));
  const [first] = closed;
  if (first === undefined) return;
  const until =
    statementDueAt === null
      ? null
      : monthNamed(timeZones, intervalAt(timeZones, 'MONTH', statementDueAt).from - 1);
  for (const [name, { overage, refundedEarlier }] of months) {
    const isDue = name > first && (until === null ? false : name < until);
    if (isDue && !closed.has(name) && (overage > 0n || refundedEarlier.size > 0))
      findings.add(accountId, `there is no statement ${name}, and it has overage or adjustments`);
  }
}
