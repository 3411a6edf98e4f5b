/**
 * VoidGrant: an operator voids unspent credits of a grant. What reservations hold stays with their jobs. If the
 * operator wants that, it is voided as it comes back.
 */
import { min } from '../../min.ts';
import type { Book } from '../book.ts';
import { checkCallerLimits } from '../caller-limits.ts';
import type { Labels, Move, Origin } from '../entry.ts';
import { exceedsGrant, grantEnded, grantNotFound } from '../failures.ts';
import { currentGrantState, type Grant, grantAvailable, scheduledCredits } from '../grant.ts';

export type VoidGrant = {
  readonly kind: 'VoidGrant';
  readonly grantId: bigint;
  /** 'all': everything that can be voided. */
  readonly credits: bigint | 'all';
  /** Whether what reservations hold is voided as it comes back; otherwise it can be spent again. */
  readonly voidReturned: boolean;
  readonly reference: string;
  readonly labels: Labels;
  /** Why, for people. */
  readonly reason: string;
};

export function voidGrant(book: Book, command: VoidGrant, origin: Origin) {
  const { account, now } = book;
  const { grantId } = command;
  const grant = book.findGrant(grantId);
  if (!grant) return grantNotFound(account.accountId, grantId);
  const state = currentGrantState(grant, now);
  const isScheduled = state === 'SCHEDULED';
  if (state !== 'OPEN' && !isScheduled) return grantEnded(grantId, state);
  const available = isScheduled ? scheduledCredits(grant) : grantAvailable(grant);
  const held = command.voidReturned ? heldNotVoided(grant) : 0n;
  const allowed = available + held;
  const credits = command.credits === 'all' ? allowed : command.credits;
  if (credits > allowed) return exceedsGrant(grant, credits, allowed);
  if (credits === 0n) return exceedsGrant(grant, grant.remaining, allowed);
  const overLimit = checkCallerLimits(book, credits);
  if (overLimit) return overLimit;

  const voided = min(credits, available);
  const voidOnReturn = credits - voided;
  grant.voidOnReturn += voidOnReturn;
  book.markGrantTerms(grant);
  if (isScheduled) voidScheduled(book, grant, voided);
  const entry = book.post(
    {
      kind: 'VOID_GRANT',
      moves: isScheduled ? [] : movesOf(grantId, voided),
      credits: voided,
      grantId,
      details: voidOnReturn > 0n ? { void_on_return: voidOnReturn.toString() } : {},
      reference: command.reference,
      labels: command.labels,
      personal: { reason: command.reason },
    },
    origin,
  );
  emitVoided(book, grant, voided, voidOnReturn, origin);
  return { kind: 'VoidGrant', grant, voided, voidOnReturn, entrySeq: entry.seq } as const;
}

/** What reservations hold, less what is voided already as it comes back. */
const heldNotVoided = ({ reserved, voidOnReturn }: Grant): bigint =>
  reserved - min(reserved, voidOnReturn);

const movesOf = (grantId: bigint, credits: bigint): readonly Move[] =>
  credits > 0n ? [{ from: 'available', to: 'voided', grantId, credits }] : [];

/** Its credits are in no balance yet: it issues the rest when it becomes effective, if there is one. */
function voidScheduled(book: Book, grant: Grant, credits: bigint) {
  grant.voided += credits;
  book.account.scheduled -= credits;
  book.changes.account = true;
  if (scheduledCredits(grant) === 0n) grant.state = 'VOIDED';
}

const emitVoided = (
  book: Book,
  { grantId, category }: Grant,
  voided: bigint,
  voidOnReturn: bigint,
  origin: Origin,
) =>
  book.emitEvent(
    'grant.voided',
    {
      grant_id: grantId.toString(),
      credits: voided.toString(),
      void_on_return: voidOnReturn.toString(),
      category,
    },
    origin,
  );
