/**
 * Refunds of credits whose grant has expired, where they come back as a new grant: what such a refund
 * moved back to where credits are issued, the entries right after it issue again, grant by grant.
 */
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';

/** What a refund owes, until a grant is made of it. */
type Owed = { readonly from: bigint; readonly credits: bigint; readonly refund: Entry };

type Report = (what: string) => void;

export class RefundGrants {
  readonly reissued = new Map<bigint, bigint>();
  readonly #grants: ReadonlyMap<bigint, Grant>;
  #owed: readonly Owed[] = [];

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  /** The account's next entry. */
  take(entry: Entry, report: Report) {
    const made = entry.kind === 'GRANT' ? this.#grants.get(entry.grantId ?? 0n) : undefined;
    if (made?.source === 'REFUND') {
      const [owed, ...rest] = this.#owed;
      this.#owed = rest;
      this.#check(entry, made, owed, report);
    } else this.close(report);
    for (const { from, to, grantId, credits } of entry.moves) {
      if (from !== 'consumed' || to !== 'issued') continue;
      this.reissued.set(grantId, (this.reissued.get(grantId) ?? 0n) + credits);
      this.#owed = [...this.#owed, { from: grantId, credits, refund: entry }];
    }
  }

  /** Nothing may be owed when anything else happens, nor at the end. */
  close(report: Report) {
    for (const { from, credits, refund } of this.#owed)
      report(`entry ${refund.seq}: ${credits} credits of grant ${from} were not granted again`);
    this.#owed = [];
  }

  #check(entry: Entry, made: Grant, owed: Owed | undefined, report: Report) {
    if (!owed) return report(`grant ${made.grantId} is of a refund that does not owe it`);
    const before = this.#grants.get(owed.from);
    const alike =
      made.sourceReference === owed.from.toString() &&
      made.amount === owed.credits &&
      made.category === before?.category &&
      made.priority === before.priority &&
      made.operations.join() === before.operations.join() &&
      lifeOf(made) === lifeOf(before) &&
      entry.requestId === owed.refund.requestId;
    if (!alike)
      report(
        `grant ${made.grantId} is not the ${owed.credits} credits of grant ${owed.from} again`,
      );
  }
}

const lifeOf = ({ effectiveAt, expiresAt }: Grant): number | null =>
  expiresAt === null ? null : expiresAt - effectiveAt;
