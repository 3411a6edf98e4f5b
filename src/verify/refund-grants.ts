/**
 * Refunds of credits whose grant has expired, under plans that return them as new grants: the refund
 * moves them back to `issued`, and the GRANT entries right after it issue them again, one per old grant. So does a
 * refund of what was owed and has been paid since, and a REINSTATE of such a debt, which does not say how much it was.
 */
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { type BucketSums, OVERAGE } from './moves.ts';

/** Refunded credits that must be granted again. */
type PendingGrant = { readonly from: bigint; readonly credits: bigint; readonly refund: Entry };

export class RefundGrants {
  /** Credits of each expired grant that were granted again. */
  readonly reissued = new Map<bigint, bigint>();
  readonly #grants: ReadonlyMap<bigint, Grant>;
  readonly #sums: BucketSums;
  #pending: readonly PendingGrant[] = [];
  /** Credits of paid debts that were granted again. */
  #regranted = 0n;
  /** Whether the entry before cancelled a debt of a purchase. */
  #reinstates = false;

  constructor(grants: ReadonlyMap<bigint, Grant>, sums: BucketSums) {
    this.#grants = grants;
    this.#sums = sums;
  }

  /** Checks the account's next entry. */
  apply(entry: Entry, report: Report) {
    // What comes back pays at once what is owed.
    if (entry.kind === 'PAY_OWED') return;
    const made = entry.kind === 'GRANT' ? this.#grants.get(entry.grantId ?? 0n) : undefined;
    if (made?.source === 'REFUND') {
      const [pending, ...rest] = this.#pending;
      this.#pending = rest;
      if (!pending && this.#reinstates) this.#checkPaidOwed(made, report);
      else this.#check(entry, made, pending, report);
    } else this.finish(report);
    this.#reinstates = entry.kind === 'REINSTATE';
    for (const { from, to, grantId, credits } of entry.moves) {
      if (from !== 'consumed' || to !== 'issued') continue;
      if (grantId !== OVERAGE)
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

  /** Of what was claimed back or refunded without a grant of its own, no more is granted again than was. */
  #checkPaidOwed(made: Grant, report: Report) {
    this.#regranted += made.amount;
    const isOfDebt =
      made.sourceReference === OVERAGE.toString() &&
      made.category === 'ADJUSTMENT' &&
      made.operations.length === 0 &&
      made.expiresAt === null &&
      this.#regranted <= this.#sums.of(OVERAGE).issued;
    if (!isOfDebt) report(`grant ${made.grantId} is not of a debt that was paid`);
  }

  #check(entry: Entry, made: Grant, pending: PendingGrant | undefined, report: Report) {
    if (!pending) return report(`grant ${made.grantId} is of a refund that does not owe it`);
    if (pending.from === OVERAGE) {
      this.#checkPaidOwed(made, report);
      if (made.amount !== pending.credits || entry.requestId !== pending.refund.requestId)
        report(`grant ${made.grantId} is not the ${pending.credits} credits that had paid`);
      return;
    }
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
