/** Allowances: what a plan grants every period, when a period starts, and what rolls over into it. */
import assert from 'node:assert/strict';
import { min } from '../min.ts';
import { expiryOf } from '../pricing/packs.ts';
import type { Allowance, Validity } from '../pricing/plan.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { expireGrant } from './expire-grant.ts';
import { DEFAULT_PRIORITY, type Grant, grantAvailable } from './grant.ts';
import { grantDetails, instantText } from './grant-details.ts';
import { formatMonth, monthStart } from './month.ts';

/** The half-open interval [from, until) in epoch milliseconds. */
export type Period = { readonly from: number; readonly until: number };

const DAY_MS = 86_400_000;

/**
 * The period that contains `at`. Periods other than the calendar month are counted from the account's
 * opening, not from the previous period: with months from the 31st, a period starts on the last day of
 * February and the next one on 31 March.
 */
export function periodOf(every: Allowance['every'], openedAt: number, at: number): Period {
  if (every === 'month') return { from: monthStart(at), until: monthStart(at, 1) };
  const startOf = (index: number) =>
    index === 0 ? openedAt : addLength(multiplyLength(every, index), openedAt);
  const longestMs = 'days' in every ? every.days * DAY_MS : every.months * 31 * DAY_MS;
  let index = Math.max(0, Math.floor((at - openedAt) / longestMs));
  while (startOf(index + 1) <= at) index += 1;
  return { from: startOf(index), until: startOf(index + 1) };
}

type Length = NonNullable<Validity>;

const multiplyLength = (length: Length, factor: number): Length =>
  'days' in length ? { days: length.days * factor } : { months: length.months * factor };

function addLength(length: Length, fromMs: number): number {
  const at = expiryOf(length, fromMs);
  assert(at !== null, 'a length of time ends');
  return at;
}

/** The name of a period in the ledger: the month, or the first moment of any other period. */
export const periodName = (every: Allowance['every'], from: number): string =>
  every === 'month' ? formatMonth(from) : new Date(from).toISOString();

/**
 * Grants the allowance of the period that starts at `allowanceDueAt`, and schedules the next one. An
 * account that was not settled for months gets the allowance of each period; those of past periods
 * expire at once.
 */
export function grantAllowance(book: Book, allowance: Allowance, origin: Origin) {
  const { account } = book;
  const { credits, every, rollover } = allowance;
  const from = account.allowanceDueAt ?? periodOf(every, account.openedAt, book.now).from;
  const { until } = periodOf(every, account.openedAt, from);
  expireBeyondRollover(book, rollover, origin);
  const grant = book.addGrant({
    amount: credits,
    category: 'ALLOWANCE',
    priority: DEFAULT_PRIORITY,
    effectiveAt: from,
    expiresAt: rollover === 'none' ? until : null,
    source: 'ALLOWANCE',
    sourceReference: periodName(every, from),
    state: 'OPEN',
  });
  account.allowanceDueAt = until;
  book.scheduleSettling(until);
  book.post(
    {
      kind: 'GRANT',
      moves: [{ from: 'issued', to: 'available', grantId: grant.grantId, credits: grant.amount }],
      credits: grant.amount,
      grantId: grant.grantId,
      details: { ...grantDetails(grant), period_end: instantText(until) },
      reference: grant.sourceReference,
    },
    origin,
  );
}

/** The most that rolls over where the plan sets no limit, so that sums stay within int64. */
const ROLLOVER_MAX = 100_000_000_000_000_000n;

/**
 * Expires what does not roll over into a new period: of the allowances without an expiry, the newest
 * credits up to the limit stay and the oldest expire. Reserved credits count towards the limit and
 * never expire here.
 */
function expireBeyondRollover(book: Book, rollover: Allowance['rollover'], origin: Origin) {
  const allowances = book.grants.filter(rollsOver).sort((a, b) => (a.grantId < b.grantId ? -1 : 1));
  const total = allowances.reduce((sum, { remaining }) => sum + remaining, 0n);
  let excess = total - rolloverLimit(rollover);
  for (const grant of allowances) {
    if (excess <= 0n) return;
    const credits = min(grantAvailable(grant), excess);
    if (credits === 0n) continue;
    expireGrant(book, grant, credits, origin);
    excess -= credits;
  }
}

const rollsOver = ({ category, expiresAt, remaining }: Grant): boolean =>
  category === 'ALLOWANCE' && expiresAt === null && remaining > 0n;

function rolloverLimit(rollover: Allowance['rollover']): bigint {
  if (rollover === 'none') return 0n;
  return rollover === 'all' ? ROLLOVER_MAX : rollover.upTo;
}
