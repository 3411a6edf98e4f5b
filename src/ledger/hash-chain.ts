/**
 * The hash chain over an account's entries: each entry's hash covers all it says and the hash of
 * the entry before it, so no entry can be changed, left out or put in later without every hash
 * after it changing, too.
 */
import { canonicalJson, integerJson } from '../canonical.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { sha256 } from '../sha256.ts';
import type { UnsealedEntry } from './book.ts';
import type { Entry, Move } from './entry.ts';

/** An entry in its place in the chain, and its lists as JSON, as they are hashed and stored. */
export type SealedEntry = Entry & {
  readonly movesJson: string;
  readonly usagesJson: string;
  readonly labelsJson: string;
};

/** [from, to, grant, credits] each: short, and the same text after PostgreSQL has stored it. */
export function movesJson(moves: readonly Move[]): string {
  let text = '';
  for (const { from, to, grantId, credits } of moves)
    text += `${text && ','}["${from}","${to}",${integerJson(grantId)},${integerJson(credits)}]`;
  return `[${text}]`;
}

/** As canonicalJson would write it, its keys in their order: written out, a third of the work. */
export function usagesJson(usages: readonly PricedUsage[]): string {
  let text = '';
  for (const { usage, unitCredits, credits, billable } of usages)
    text +=
      `${text && ','}{"attributes":${canonicalJson(usage.attributes)},"billable":${billable}` +
      `,"count":${integerJson(usage.count)},"credits":${integerJson(credits)}` +
      `,"operation":${JSON.stringify(usage.operation)}` +
      `,"quantities":${canonicalJson(usage.quantities)},"unit_credits":${integerJson(unitCredits)}}`;
  return `[${text}]`;
}

/**
 * The hash covers one line for each thing the entry says. No line can run into the next: texts that
 * callers chose carry no control characters, and those of the JSON are escaped.
 */
export function seal(entry: UnsealedEntry, hashBefore: Uint8Array): SealedEntry {
  const moves = movesJson(entry.moves);
  const usages = usagesJson(entry.usages);
  const labels = canonicalJson(entry.labels);
  let said = [
    Buffer.from(hashBefore).toString('hex'),
    entry.accountId,
    entry.seq,
    entry.kind,
    entry.at,
    moves,
    entry.credits,
    entry.remainingAfter,
    entry.reservedAfter,
    entry.overageAfter,
    entry.reservationId,
    entry.grantId,
    entry.refundedSeq,
    usages,
    entry.rateCardVersion,
    entry.late,
    entry.caller,
    entry.requestId,
    JSON.stringify(entry.reference),
    labels,
    entry.traceId,
    entry.spanId,
  ].join('\n');
  // Lines that entries did not have from the start are named, and left out where there is nothing.
  if (entry.planId !== null) said += `\nplan ${entry.planId}`;
  if (entry.previousPlanId !== null) said += `\nprevious plan ${entry.previousPlanId}`;
  return {
    ...entry,
    movesJson: moves,
    usagesJson: usages,
    labelsJson: labels,
    hash: sha256(said),
  };
}
