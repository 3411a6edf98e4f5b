/** Allowances: what a plan grants every period, when a period starts, and what rolls over into it. */
import { min } from '../min.ts';
import type { Allowance } from '../pricing/plan.ts';
import type { Account } from './account.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { expireGrant } from './expire-grant.ts';
import { DEFAULT_PRIORITY, type Grant, grantAvailable } from './grant.ts';
import { grantDetails, instantText } from './grant-details.ts';
import { type Every, monthNameAt, type Period, periodAt, periodFrom } from './periods/period.ts';

type Opened = Pick<Account, 'openedAt' | 'timeZones'>;

/**
 * The period that contains `at`. Periods other than the calendar month are counted from the account's opening. In UTC
 * they turn at its time of day; of an account with a time zone they turn at midnight, days after the day of its
 * opening.
 */
export const allowancePeriodAt = (
  { openedAt, timeZones }: Opened,
  { every }: Pick<Allowance, 'every'>,
  at: number,
): Period => periodAt(timeZones, toEvery(every, openedAt), at);

const toEvery = (every: Allowance['every'], since: number): Every =>
  every === 'month' ? every : { ...every, since };

/**
 * The name of a period in the ledger: the month, or the first moment of any other period. The first month after another
 * period may begin late, and ends as months do.
 */
export const periodName = (
  { timeZones }: Pick<Account, 'timeZones'>,
  { every }: Pick<Allowance, 'every'>,
  { from, until }: Period,
): string => (every === 'month' ? monthNameAt(timeZones, until - 1) : new Date(from).toISOString());

/**
 * Grants the allowance of the period that starts at `allowanceDueAt`, and schedules the next one. An
 * account that was not settled for months gets the allowance of each period; those of past periods
 * expire at once.
 */
export function grantAllowance(book: Book, allowance: Allowance, origin: Origin) {
  const { account } = book;
  const { credits, every, rollover } = allowance;
  const from = account.allowanceDueAt ?? allowancePeriodAt(account, allowance, book.now).from;
  const period = periodFrom(account.timeZones, toEvery(every, account.openedAt), from);
  const { until } = period;
  expireBeyondRollover(book, rollover, origin);
  const grant = book.addGrant({
    amount: credits,
    category: 'ALLOWANCE',
    priority: DEFAULT_PRIORITY,
    effectiveAt: from,
    expiresAt: rollover === 'none' ? until : null,
    source: 'ALLOWANCE',
    sourceReference: periodName(account, allowance, period),
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
