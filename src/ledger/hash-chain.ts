/**
 * The hash chain over an account's entries: each entry's hash covers its content and the hash of the
 * entry before it. No entry can be changed, removed or inserted without changing every later hash.
 */
import { canonicalJson, integerJson } from '../canonical.ts';
import type { PricedUsage } from '../pricing/price.ts';
import { sha256 } from '../sha256.ts';
import type { UnsealedEntry } from './book.ts';
import type { Entry, Move } from './entry.ts';

/** An entry with its hash, and with its lists as the JSON text that is hashed and stored. */
export type SealedEntry = Entry & {
  readonly movesJson: string;
  readonly usagesJson: string;
  readonly labelsJson: string;
};

/** A list of [from, to, grant, credits]. */
export function movesJson(moves: readonly Move[]): string {
  let text = '';
  for (const { from, to, grantId, credits } of moves)
    text += `${text && ','}["${from}","${to}",${integerJson(grantId)},${integerJson(credits)}]`;
  return `[${text}]`;
}

/** The text that canonicalJson would give, built directly because it is on every request's path. */
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
 * Hashes one line per field. The lines cannot be confused with each other: texts chosen by callers have
 * no control characters, and JSON escapes them.
 */
export function seal(entry: UnsealedEntry, hashBefore: Uint8Array): SealedEntry {
  const moves = movesJson(entry.moves);
  const usages = usagesJson(entry.usages);
  const labels = canonicalJson(entry.labels);
  let hashed = [
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
  // Fields that were added later have a name and are omitted when null, so older hashes stay valid.
  if (entry.planId !== null) hashed += `\nplan ${entry.planId}`;
  if (entry.previousPlanId !== null) hashed += `\nprevious plan ${entry.previousPlanId}`;
  if (entry.final !== null) hashed += `\nfinal ${entry.final}`;
  return {
    ...entry,
    movesJson: moves,
    usagesJson: usages,
    labelsJson: labels,
    hash: sha256(hashed),
  };
}
