/**
 * Refunds of credits whose grant has expired, under plans that return them as new grants: the refund
 * moves them back to `issued`, and the GRANT entries right after it issue them again, one per old grant.
 */
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';

/** Refunded credits that must be granted again. */
type PendingGrant = { readonly from: bigint; readonly credits: bigint; readonly refund: Entry };

export class RefundGrants {
  /** Credits of each expired grant that were granted again. */
  readonly reissued = new Map<bigint, bigint>();
  readonly #grants: ReadonlyMap<bigint, Grant>;
  #pending: readonly PendingGrant[] = [];

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  /** Checks the account's next entry. */
  apply(entry: Entry, report: Report) {
    const made = entry.kind === 'GRANT' ? this.#grants.get(entry.grantId ?? 0n) : undefined;
    if (made?.source === 'REFUND') {
      const [pending, ...rest] = this.#pending;
      this.#pending = rest;
      this.#check(entry, made, pending, report);
    } else this.finish(report);
    for (const { from, to, grantId, credits } of entry.moves) {
      if (from !== 'consumed' || to !== 'issued') continue;
      this.reissued.set(grantId, (this.reissued.get(grantId) ?? 0n) + credits);
      this.#pending = [...this.#pending, { from: grantId, credits, refund: entry }];
    }
  }

  /** No grant may be pending before any other entry, nor at the end. */
  finish(report: Report) {
    for (const { from, credits, refund } of this.#pending)
      report(`entry ${refund.seq}: ${credits} credits of grant ${from} were not granted again`);
    this.#pending = [];
  }

  #check(entry: Entry, made: Grant, pending: PendingGrant | undefined, report: Report) {
    if (!pending) return report(`grant ${made.grantId} is of a refund that does not owe it`);
    const old = this.#grants.get(pending.from);
    const isEquivalent =
      made.sourceReference === pending.from.toString() &&
      made.amount === pending.credits &&
      made.category === old?.category &&
      made.priority === old.priority &&
      made.operations.join() === old.operations.join() &&
      durationOf(made) === durationOf(old) &&
      entry.requestId === pending.refund.requestId;
    if (!isEquivalent)
      report(
        `grant ${made.grantId} is not the ${pending.credits} credits of grant ${pending.from} again`,
      );
  }
}

const durationOf = ({ effectiveAt, expiresAt }: Grant): number | null =>
  expiresAt === null ? null : expiresAt - effectiveAt;
