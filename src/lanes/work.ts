/** What waits in a lane: a request to decide on one account, and how it is answered. */
import type { Failure } from '../failure.ts';
import type { Book } from '../ledger/book.ts';
import type { Command, Outcome } from '../ledger/decide.ts';
import type { Origin } from '../ledger/entry.ts';
import type { Closing } from '../ledger/statement.ts';

export type Request = {
  readonly accountId: string;
  readonly command: Command;
  /** One without a request id is what the service asks by itself: it is decided anew each time. */
  readonly origin: Origin;
  /** SHA-256 of the request's content: the same request id must come with the same content. */
  readonly fingerprint: Uint8Array;
  /** The response, encoded as it is stored and sent. Called right after each decision. */
  readonly respond: (outcome: Outcome, book: Book) => Uint8Array;
  /** Whether the caller has given up. UsagesOrCredits before each time it is decided. */
  readonly isAbandoned: () => boolean;
};

/** No request: only what happens to the account by itself. */
export type Settlement = { readonly accountId: string; readonly command: null };

/** No request either: closes a month of the account, as its entries were read before. */
export type StatementClosing = Settlement & { readonly closing: Closing };

export type Work = Request | Settlement | StatementClosing;

/** An answer is the response's bytes; settled accounts have none. */
export type Answer = { readonly response: Uint8Array; readonly replayed: boolean } | Failure;

export const SETTLED: Answer = { response: new Uint8Array(), replayed: false };
