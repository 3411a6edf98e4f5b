/**
 * What callers with a limit have moved on one day, as the account's row counts it: no more than the entries say.
 * It may be less, because a limit counts from when it is in force.
 */
import type { Account } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import { readCount } from './erasure.ts';
import type { Report } from './findings.ts';

const DAY_MS = 86_400_000;

export class CallerDays {
  /** Of the day that the row counts. Null: none. */
  readonly #counted: Account['callerDays'];
  readonly #moved = new Map<string, bigint>();

  constructor({ callerDays }: Account) {
    this.#counted = callerDays;
  }

  /** Adds the account's next entry. */
  apply({ at, caller, requestId, credits, details }: Entry) {
    if (requestId === '' || Math.floor(at / DAY_MS) !== this.#counted?.day) return;
    // What a void leaves to jobs counts for whoever asked for it.
    const later = BigInt(readCount(details['void_on_return']));
    this.#moved.set(caller, (this.#moved.get(caller) ?? 0n) + credits + later);
  }

  finish(report: Report) {
    for (const [caller, credits] of this.#counted?.credits ?? []) {
      const moved = this.#moved.get(caller) ?? 0n;
      if (credits <= 0n || credits > moved)
        report(`caller_days is ${credits} of ${caller}, which moved ${moved}`);
    }
  }
}
