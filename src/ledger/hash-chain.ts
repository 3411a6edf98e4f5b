/**
 * The hash chain over an account's entries: each entry's hash covers all it says and the hash of
 * the entry before it, so no entry can be changed, left out or put in later without every hash
 * after it changing, too.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '../canonical.ts';
import type { PricedUsage } from '../pricing/price.ts';
import type { UnsealedEntry } from './book.ts';
import type { Entry, Move } from './entry.ts';

/** An entry in its place in the chain, with its lists in the form they are stored in. */
export type SealedEntry = Entry & {
  readonly movesJson: string;
  readonly usagesJson: string;
  readonly labelsJson: string;
};

/** [from, to, grant, credits] each: short, and the same text after PostgreSQL has stored it. */
export const movesJson = (moves: readonly Move[]): string =>
  canonicalJson(moves.map(({ from, to, grantId, credits }) => [from, to, grantId, credits]));

export const usagesJson = (usages: readonly PricedUsage[]): string =>
  canonicalJson(
    usages.map(({ usage, unitCredits, credits, billable }) => ({
      operation: usage.operation,
      count: usage.count,
      quantities: usage.quantities,
      attributes: usage.attributes,
      unit_credits: unitCredits,
      credits,
      billable,
    })),
  );

export function seal(entry: UnsealedEntry, hashBefore: Uint8Array): SealedEntry {
  const texts = {
    movesJson: movesJson(entry.moves),
    usagesJson: usagesJson(entry.usages),
    labelsJson: canonicalJson(entry.labels),
  };
  const said = JSON.stringify([
    Buffer.from(hashBefore).toString('hex'),
    entry.accountId,
    String(entry.seq),
    entry.kind,
    entry.at,
    texts.movesJson,
    String(entry.credits),
    String(entry.remainingAfter),
    String(entry.reservedAfter),
    String(entry.overageAfter),
    entry.reservationId,
    entry.grantId === null ? null : String(entry.grantId),
    entry.refundedSeq === null ? null : String(entry.refundedSeq),
    texts.usagesJson,
    entry.rateCardVersion,
    entry.late,
    entry.caller,
    entry.requestId,
    entry.reference,
    texts.labelsJson,
    entry.traceId,
    entry.spanId,
  ]);
  return { ...entry, ...texts, hash: hash('sha256', said, 'buffer') };
}
