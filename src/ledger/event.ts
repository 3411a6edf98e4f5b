/**
 * An event: something that happened to an account and that others want to be told of. It is written in
 * the transaction that caused it, and delivered from there.
 */

import { availableCredits, effectiveLowBalanceThreshold } from './account.ts';
import type { Book } from './book.ts';
import type { Origin } from './entry.ts';

export const EVENT_TYPES = [
  'balance.low',
  'balance.recovered',
  'grant.expiring',
  'grant.expired',
  'reservation.expired',
  'purchase.completed',
  'statement.closed',
  'top_up.failed',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** An event before it has its id. */
export type EventDraft = {
  readonly accountId: string;
  /** 1, 2, 3 … within the account: what happened first comes first. */
  readonly seq: bigint;
  readonly type: EventType;
  readonly at: number;
  /** By name in snake_case; amounts and instants as text, so that every reader has them exact. */
  readonly data: Readonly<Record<string, string>>;
  /** The call, or the unit of work, that caused it. */
  readonly traceId: string;
  readonly spanId: string;
};

export type LedgerEvent = EventDraft & {
  /** Stable however often the event is delivered: a UUID (version 7). */
  readonly eventId: string;
};

/**
 * Says once that available credits went below the account's threshold, and once that they are back.
 * Looked at after settling and after each decision, never between two entries of one: an allowance
 * that replaces the one before it crosses nothing.
 */
export function updateLowBalance(book: Book, origin: Pick<Origin, 'traceId' | 'spanId'>) {
  const { account, plan } = book;
  const low = isLowBalance(book);
  if (low === account.lowBalance) return;
  account.lowBalance = low;
  book.changes.account = true;
  book.emitEvent(
    low ? 'balance.low' : 'balance.recovered',
    {
      available: availableCredits(account).toString(),
      threshold: effectiveLowBalanceThreshold(account, plan.terms).toString(),
    },
    origin,
  );
}

export const isLowBalance = ({ account, plan }: Book): boolean =>
  availableCredits(account) < effectiveLowBalanceThreshold(account, plan.terms);
