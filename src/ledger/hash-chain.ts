/**
 * The hash chain over an account's entries: each entry's hash covers its content and the hash of the
 * entry before it. No entry can be changed, removed or inserted without changing every later hash.
 *
 * Personal data and the request it was part of are covered by a salted hash of their own. They can be
 * erased, and replaced by that hash: the chain stays as it is.
 */
import { canonicalJson } from '../canonical.ts';
import { sha256 } from '../sha256.ts';
import type { StoredEntry, TermsHashes, UnsealedEntry } from './entry.ts';
import { contentJson } from './entry-content.ts';

/** An entry with its hash, and with the JSON texts that are hashed and stored. */
export type SealedEntry = StoredEntry & {
  readonly contentJson: string;
  /** Null without personal data. */
  readonly personalJson: string | null;
};

/** What an entry says, whether it is sealed yet or not. */
type Content = Omit<StoredEntry, 'hash' | 'salt' | 'erasedHash'>;

/**
 * `newSalt` makes the salt of an entry that has personal data, or a request: its response may repeat the
 * account's name, or the reference and the labels of a reservation.
 */
export function seal(
  entry: UnsealedEntry,
  hashBefore: Uint8Array,
  newSalt: () => Uint8Array,
): SealedEntry {
  const personalJson = personalJsonOf(entry);
  const hasPersonal = personalJson !== null || entry.reference !== '' || entry.request !== null;
  const salt = hasPersonal ? newSalt() : null;
  const content = contentJson(entry);
  const personalHash = hashPersonal(entry, salt, personalJson);
  const hash = hashEntry(entry, entry, hashBefore, content, personalHash);
  return { ...entry, salt, erasedHash: null, contentJson: content, personalJson, hash };
}

/** Computes the hash of an entry that was stored, for the audit. */
export function sealAgain(
  entry: Omit<StoredEntry, 'hash'>,
  terms: TermsHashes,
  hashBefore: Uint8Array,
): SealedEntry {
  const personalJson = personalJsonOf(entry);
  const content = contentJson(entry);
  const personalHash = entry.erasedHash ?? hashPersonal(entry, entry.salt, personalJson);
  const hash = hashEntry(entry, terms, hashBefore, content, personalHash);
  return { ...entry, contentJson: content, personalJson, hash };
}

const hexOf = (bytes: Uint8Array | null | undefined): string =>
  bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex') : '';

/**
 * Hashes one line per field. The lines cannot be confused with each other: texts chosen by callers have no
 * control characters, and JSON escapes them.
 */
function hashEntry(
  entry: Content,
  { termsHash, rateCardHash }: TermsHashes,
  hashBefore: Uint8Array,
  content: string,
  personalHash: Uint8Array,
): Uint8Array {
  const lines = [
    hexOf(hashBefore),
    entry.accountId,
    entry.seq,
    entry.kind,
    entry.at,
    entry.credits,
    entry.remainingAfter,
    entry.reservedAfter,
    entry.overageAfter,
    entry.reservationId,
    entry.purchaseId,
    entry.grantId,
    entry.refundedSeq,
    entry.planId,
    entry.planVersion,
    termsHash,
    entry.previousPlanId,
    entry.rateCardVersion,
    rateCardHash,
    entry.caller,
    entry.requestId,
    entry.request?.method,
    entry.traceId,
    entry.spanId,
    content,
    hexOf(personalHash),
  ];
  return sha256(lines.join('\n'));
}

/** The labels and other personal data as they are stored; null if there are none. */
function personalJsonOf({
  labels,
  personal,
  onBehalfOf,
}: Pick<StoredEntry, 'labels' | 'personal' | 'onBehalfOf'>) {
  const hasLabels = Object.keys(labels).length > 0;
  if (!hasLabels && !onBehalfOf && Object.keys(personal).length === 0) return null;
  return canonicalJson({
    ...personal,
    ...(onBehalfOf && { on_behalf_of: onBehalfOf }),
    ...(hasLabels && { labels }),
  });
}

/** The same as the SQL function `personal_hash` of docs/schema.sql. */
function hashPersonal(
  { request, reference }: Content,
  salt: Uint8Array | null,
  personalJson: string | null,
): Uint8Array {
  return sha256(
    `${hexOf(salt)}\n${hexOf(request?.fingerprint)}\n${hexOf(request?.response)}\n${reference}\n${personalJson ?? ''}`,
  );
}
