/** Allowances: what a plan gives every period, when that is, and what is carried into the next one. */
import assert from 'node:assert/strict';
import { expiryOf } from '../pricing/packs.ts';
import type { Allowance, Validity } from '../pricing/plan.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';
import { expireGrant } from './expire-grant.ts';
import { DEFAULT_PRIORITY, type Grant, grantAvailable } from './grant.ts';
import { formatMonth, monthStart } from './month.ts';

/** From its first moment until the first of the next one. */
export type Period = { readonly from: number; readonly until: number };

const DAY_MS = 86_400_000;

/**
 * The period that `at` is in. Each one that is no calendar month is counted from the opening, not from
 * the one before it: months from the 31st on end on the last day of February and on the 31st of March.
 */
export function periodOf(every: Allowance['every'], openedAt: number, at: number): Period {
  if (every === 'month') return { from: monthStart(at), until: monthStart(at, 1) };
  const begins = (k: number) => (k === 0 ? openedAt : lengthAfter(times(every, k), openedAt));
  const longestMs = 'days' in every ? every.days * DAY_MS : every.months * 31 * DAY_MS;
  let k = Math.max(0, Math.floor((at - openedAt) / longestMs));
  while (begins(k + 1) <= at) k += 1;
  return { from: begins(k), until: begins(k + 1) };
}

type Length = NonNullable<Validity>;

const times = (length: Length, k: number): Length =>
  'days' in length ? { days: length.days * k } : { months: length.months * k };

function lengthAfter(length: Length, fromMs: number): number {
  const at = expiryOf(length, fromMs);
  assert(at !== null, 'a length of time ends');
  return at;
}

/** What a period is called: a month by its name, any other by its first moment. */
const nameOf = (every: Allowance['every'], opens: number): string =>
  every === 'month' ? formatMonth(opens) : new Date(opens).toISOString();

/**
 * Grants the allowance of the period that `allowanceDueAt` opens and turns to the next one. An
 * account nobody touched for months gets each of its periods, the past ones as breakage.
 */
export function grantAllowance(book: Book, allowance: Allowance, origin: Origin) {
  const { account } = book;
  const { credits, every, rollover } = allowance;
  const opens = account.allowanceDueAt ?? periodOf(every, account.openedAt, book.now).from;
  const { until } = periodOf(every, account.openedAt, opens);
  carryOver(book, rollover, origin);
  const grant = book.addGrant({
    amount: credits,
    category: 'ALLOWANCE',
    priority: DEFAULT_PRIORITY,
    effectiveAt: opens,
    expiresAt: rollover === 'none' ? until : null,
    source: 'ALLOWANCE',
    sourceReference: nameOf(every, opens),
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
      reference: grant.sourceReference,
    },
    origin,
  );
}

/** Even what is carried without limit stays within the room that `limit.ts` leaves for allowances. */
const CARRIED_MAX = 100_000_000_000_000_000n;

/**
 * At the turn of a period: of the allowances without an expiry so much stays, of the newest; the rest
 * is breakage. What reservations hold counts among what stays, and is not touched.
 */
function carryOver(book: Book, rollover: Allowance['rollover'], origin: Origin) {
  const carried = book.grants.filter(isCarried).sort((a, b) => (a.grantId < b.grantId ? -1 : 1));
  const held = carried.reduce((sum, { remaining }) => sum + remaining, 0n);
  let beyond = held - carriedAtMost(rollover);
  for (const grant of carried) {
    if (beyond <= 0n) return;
    const available = grantAvailable(grant);
    const credits = available < beyond ? available : beyond;
    if (credits === 0n) continue;
    expireGrant(book, grant, credits, origin);
    beyond -= credits;
  }
}

const isCarried = ({ category, expiresAt, remaining }: Grant): boolean =>
  category === 'ALLOWANCE' && expiresAt === null && remaining > 0n;

function carriedAtMost(rollover: Allowance['rollover']): bigint {
  if (rollover === 'none') return 0n;
  return rollover === 'all' ? CARRIED_MAX : rollover.upTo;
}
