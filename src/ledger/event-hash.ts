/**
 * Hashes of events. An entry covers the events of its account that were emitted with it, and those since the entry
 * before it: so the hash chain covers every event. Until the next entry, the account's row has their hash.
 */
import { canonicalJson } from '../canonical.ts';
import { sha256 } from '../sha256.ts';
import type { LedgerEvent } from './event.ts';

/**
 * An event as it is stored. The salt is hashed with its data, which could be guessed otherwise. Both can be erased:
 * the hash of the event covers the hash of its data.
 */
export type SealedEvent = LedgerEvent & {
  /** Null: erased, with the data. */
  readonly salt: Uint8Array | null;
  readonly dataHash: Uint8Array;
  readonly hash: Uint8Array;
};

/** The events that an entry covers: those after the last that an earlier entry covers. */
export type EventsSeal = {
  /** seq of the last of them. */
  readonly upTo: bigint;
  /** In hexadecimal: see `addToSeal`. */
  readonly hash: string;
};

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export const eventDataHash = (data: LedgerEvent['data'], salt: Uint8Array): Buffer =>
  sha256(canonicalJson([hexOf(salt), data]));

/** `statement`: the statement that the event says was closed, as it is stored; otherwise null. */
export const eventHash = (
  { accountId, eventId, seq, type, at, traceId, spanId, sampled }: LedgerEvent,
  dataHash: Uint8Array,
  statement: unknown,
): Buffer => {
  const names = [accountId, eventId, seq, type, at, traceId, spanId, sampled];
  return sha256(canonicalJson([...names, hexOf(dataHash), statement]));
};

/** The hash of some events, and of one more. Null: of no events. In hexadecimal. */
export const addToSeal = (before: string | null, hash: Uint8Array): string =>
  sha256(`${before ?? ''}\n${hexOf(hash)}`).toString('hex');
