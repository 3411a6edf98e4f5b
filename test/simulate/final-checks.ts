/** What must be right at the end of a trace, besides the histories: reads on every replica, statements, events. */
import { type Scrip, ScripError } from '../../src/client.ts';
import type { Event } from '../../src/gen/billing/v1/event_service.ts';
import { type Entry, Purchase_State, Reservation_State } from '../../src/gen/billing/v1/ledger.ts';
import {
  ExportStatementsRequest_Format,
  Statement,
} from '../../src/gen/billing/v1/statement_service.ts';
import { differences, textOf } from './compare.ts';
import { expectRead, ownFields } from './expected-reads.ts';
import { monthOf as monthIn, periodAt } from './model/calendar.ts';
import { settle } from './model/due.ts';
import { Refusal } from './model/refusal.ts';
import type { AccountState } from './model/state.ts';
import { expectStatement } from './model/statement.ts';
import type { Provider } from './provider.ts';
import { readNow } from './read-now.ts';
import { Violation } from './runner.ts';
import type { ReadSpec } from './trace.ts';

/** Everything that can be read of an account. */
const LAST_READS: readonly ReadSpec[] = [
  { read: 'balance', grants: true },
  { read: 'grants' },
  { read: 'reservations', states: [] },
  { read: 'purchases' },
  { read: 'packs' },
  { read: 'budgets' },
  { read: 'account' },
];

/** Reads everything of the account, as it must be now. */
export async function checkReads(state: AccountState, time: number, scrip: Scrip) {
  const now = Math.max(time, state.lastAt);
  for (const spec of LAST_READS) {
    const settled = state.copy();
    settle(settled, now);
    const expected = expectRead(settled, spec, '', now);
    if (expected instanceof Refusal) throw new Error('every account at its end can be read');
    const actual = await readNow(scrip, spec, state.accountId, '');
    const problem = differences(withOwnFields(actual), withOwnFields(expected));
    if (problem) throw new Violation(`${state.accountId}: at its end ${spec.read}: ${problem}`);
  }
}

const withOwnFields = (message: object): object =>
  'purchases' in message
    ? { ...message, purchases: (message.purchases as object[]).map(ownFields) }
    : message;

/** A purchase that has no session after so long gets none. */
const OPEN_AGE_MAX_MS = 23 * 3_600_000;

/**
 * Every purchase by checkout shows what happened to its payment. A replica may have died before it wrote the
 * session that it had opened: nobody was told where to pay, so the purchase expires before the session does.
 */
export async function checkPayments(
  state: AccountState,
  time: number,
  provider: Provider,
  scrip: Scrip,
) {
  const { accountId } = state;
  for (const purchaseId of state.orders.keys()) {
    const { purchase } = await scrip.billing.getPurchase({ accountId, purchaseId });
    const own = state.purchases.get(purchaseId);
    if (!purchase || !own) throw new Violation(`${accountId}: there is no purchase ${purchaseId}`);
    const { state: end, dispute, refunded, paid, claimsAll } = provider.endOf(purchaseId);
    if (end === null) continue;
    const isOld = time - Number(own.createdAt) >= OPEN_AGE_MAX_MS;
    const mayExpire = isOld && end === Purchase_State.PENDING;
    const share = paid > 0 ? (own.credits * BigInt(refunded)) / BigInt(paid) : 0n;
    const isPaid = end === Purchase_State.PAID;
    const { creditsClawedBack, creditsUnrecovered, creditsOwed } = purchase;
    const actual = {
      state: purchase.state,
      dispute: purchase.disputeState,
      clawedBack: creditsClawedBack,
      claimed: creditsClawedBack + creditsUnrecovered,
      owed: creditsOwed,
      refunded: Math.round(Number(purchase.amountRefunded?.amount) * 100),
    };
    const expected = {
      state: mayExpire && purchase.state === Purchase_State.EXPIRED ? purchase.state : end,
      dispute,
      clawedBack: own.creditsClawedBack,
      claimed: isPaid ? (claimsAll ? own.credits : share) : 0n,
      owed: state.debts.get(purchaseId) ?? 0n,
      refunded,
    };
    const problem = differences(actual, expected);
    if (problem) throw new Violation(`${accountId}: purchase ${purchaseId}: ${problem}`);
  }
}

/** Reads the statement of each month, the list of the closed ones, and their export. */
export async function checkStatements(
  state: AccountState,
  time: number,
  { billing, statements }: Scrip,
) {
  const { accountId } = state;
  // It closes the months that have ended, and so settles the account: the history may grow.
  await statements.listStatements({ accountId });
  const settled = state.copy();
  settle(settled, Math.max(time, state.lastAt));
  // An open month counts also what is due and not written yet.
  const entries = [...(await historyOf(billing, accountId)), ...settled.posted];
  const seen: Statement[] = [];
  const { timeZones } = state;
  const monthOf = (at: number) => monthIn(timeZones, at);
  const nextMonth = (at: number) => periodAt(timeZones, 'month', at).until;
  const first = firstMonthOf(state);
  for (let at = first; at <= time; at = nextMonth(at)) {
    const { statement } = await statements.getStatement({ accountId, month: monthOf(at) });
    if (!statement) throw new Violation(`${accountId}: no statement of ${monthOf(at)}`);
    const expected = expectStatement(state, entries, seen, statement);
    const problem = differences(statement, expected);
    if (problem) throw new Violation(`${accountId}: the statement of ${monthOf(at)}: ${problem}`);
    seen.push(statement);
  }
  const closed = seen.filter(({ closedAt }) => closedAt);
  const listed = await statements.listStatements({ accountId, pageSize: 1_000 });
  const problem = differences(listed.statements.toReversed(), closed);
  if (problem) throw new Violation(`${accountId}: the list of statements: ${problem}`);
  let file = '';
  for await (const { content } of statements.exportStatements({
    of: { $case: 'accountId', value: accountId },
    fromMonth: monthOf(first),
    toMonth: monthOf(time),
    format: ExportStatementsRequest_Format.JSON,
  }))
    file += Buffer.from(content).toString();
  const exported = file
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => Statement.fromJSON(JSON.parse(line)));
  if (textOf(exported) !== textOf(closed))
    throw new Violation(`${accountId}: the export differs: ${differences(exported, closed)}`);
}

/** An instant of the first month that is read. Of an imported account it is one that has no entries, if there is one. */
function firstMonthOf({ timeZones, openedAt, startedAt }: AccountState): number {
  const before = periodAt(timeZones, 'month', startedAt).from - 1;
  return Math.max(openedAt, before);
}

const UNSETTLED: readonly Purchase_State[] = [Purchase_State.PENDING, Purchase_State.MISMATCHED];

/** Closes the account and erases its data, which what is unfinished refuses. What it has stays as it was. */
export async function checkErasure(
  state: AccountState,
  time: number,
  { accounts, billing }: Scrip,
) {
  const { accountId } = state;
  await accounts.closeAccount({ accountId, requestId: 'closed-at-the-end' });
  const settled = state.copy();
  settle(settled, Math.max(time, state.lastAt));
  const isRunning = [...settled.reservations.values()].some(
    (reservation) => reservation.state === Reservation_State.ACTIVE,
  );
  const { purchases } = await billing.listPurchases({ accountId, pageSize: 1_000 });
  const isUnsettled = purchases.some((purchase) => UNSETTLED.includes(purchase.state));
  const expected = isRunning ? 'RESERVATION_ACTIVE' : isUnsettled ? 'PURCHASE_UNSETTLED' : 'erased';
  const before = await billing.getBalance({ accountId });
  const request = { accountId, requestId: 'erased-at-the-end', reason: 'the end' };
  const actual = await accounts.eraseAccountData(request).then(
    () => 'erased',
    (error: unknown) => (error instanceof ScripError ? error.reason : String(error)),
  );
  if (actual !== expected)
    throw new Violation(`${accountId}: its erasure ended with ${actual}, not ${expected}`);
  if (actual !== 'erased') return;
  const after = await billing.getBalance({ accountId });
  const problem = differences({ ...after.balance, seq: 0n }, { ...before.balance, seq: 0n });
  if (problem) throw new Violation(`${accountId}: its balance after its erasure: ${problem}`);
  const told = (await historyOf(billing, accountId)).filter(
    ({ reference, labels, details, onBehalfOf }) =>
      reference !== '' || onBehalfOf !== '' || labels.size > 0 || details.has('reason'),
  );
  if (told.length !== 1) throw new Violation(`${accountId}: after its erasure ${textOf(told)}`);
}

/** All entries of an account; none if there is no such account. */
export async function historyOf(billing: Scrip['billing'], accountId: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  try {
    for await (const message of billing.streamHistory({ accountId }))
      entries.push(...message.entries);
  } catch (error) {
    if (!(error instanceof ScripError) || error.reason !== 'ACCOUNT_NOT_FOUND') throw error;
  }
  return entries;
}

/** The types of events that the model predicts, with their order. */
const PREDICTED = new Set([
  'balance.low',
  'balance.depleted',
  'balance.recovered',
  'reservation.expired',
  'grant.expired',
  'grant.voided',
  'account.suspended',
  'account.resumed',
  'grant.updated',
  'budget.exceeded',
  'purchase.completed',
  'owed.added',
  'owed.paid',
  'owed.cancelled',
]);

/** Reads all events. Their positions have no gaps, and those of each account are the model's. */
export async function checkEvents(states: readonly AccountState[], { events }: Scrip) {
  const all: Event[] = [];
  for await (const message of events.streamEvents({})) all.push(...message.events);
  for (const [index, { position }] of all.entries())
    if (position !== BigInt(index + 1)) throw new Violation(`event ${index + 1} is at ${position}`);
  for (const { accountId, events: expected } of states) {
    const own = all.filter((event) => event.accountId === accountId && PREDICTED.has(event.type));
    const count = Math.max(own.length, expected.length);
    for (let index = 0; index < count; index++) {
      const [event, predicted] = [own[index], expected[index]];
      const data = Object.fromEntries(
        Object.keys(predicted?.data ?? {}).map((name) => [name, event?.data.get(name)]),
      );
      const actual = event && { type: event.type, data };
      const problem = differences(actual ?? {}, predicted ?? {});
      if (problem) throw new Violation(`${accountId}: its event ${index + 1}: ${problem}`);
    }
  }
}
