/**
 * An event: a fact about an account that subscribers are told about. It is written in the transaction
 * that caused it, and delivered from there.
 */
import type { Trace } from './entry.ts';

export const EVENT_TYPES = [
  'balance.low',
  'balance.depleted',
  'balance.recovered',
  'charge.refused',
  'grant.expiring',
  'grant.expired',
  'grant.voided',
  'grant.updated',
  'grant.stranded',
  'account.suspended',
  'account.resumed',
  'budget.exceeded',
  'reservation.expired',
  'purchase.completed',
  'purchase.mismatched',
  'purchase.resolved',
  'purchase.refunded',
  'purchase.disputed',
  'purchase.clawed_back',
  'purchase.reinstated',
  'owed.added',
  'owed.paid',
  'owed.cancelled',
  'statement.closed',
  'top_up.failed',
  'top_up.disabled',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/** What these say can be about a person: it has texts of callers. Their data can be erased. */
export const PERSONAL_EVENT_TYPES: readonly EventType[] = [
  'budget.exceeded',
  'reservation.expired',
  'purchase.completed',
  'purchase.resolved',
];

/** An event before it has its id. The trace is that of the call or unit of work that caused it. */
export type EventDraft = Trace & {
  readonly accountId: string;
  /** 1, 2, 3 … within the account, in the order in which the events happened. */
  readonly seq: bigint;
  readonly type: EventType;
  readonly at: number;
  /** Keys in snake_case. Amounts and instants are text, so that every JSON reader has them exact. */
  readonly data: Readonly<Record<string, string>>;
};

export type LedgerEvent = EventDraft & {
  /** A UUID (version 7), the same in every delivery of the event. */
  readonly eventId: string;
};
