/** What would have been charged, from the decisions of shadow mode: commits, charges and refunds. */
import type { ShadowDecision } from '../../gen/billing/v1/account_service.ts';
import { Entry_Kind } from '../../gen/billing/v1/ledger.ts';

export type ShadowCharge = {
  readonly accountId: string;
  /** What the other system may know it by: request ids of the charge and of its reservation, and the reference. */
  readonly ids: readonly string[];
  /** Credits by operation; of a refund below 0. Empty: credits were named, and nobody knows what for. */
  readonly operations: ReadonlyMap<string, bigint>;
  readonly credits: bigint;
  readonly at: number;
  /** Empty: it would have been allowed. */
  readonly refusedBecause: string;
};

/** What is known of a job or charge when a later decision refers to it. */
type Before = Pick<ShadowDecision, 'requestId' | 'refusedBecause'> & {
  readonly operations: ReadonlyMap<string, bigint>;
};

/** Reads decisions in their order, of one account after the other. */
export class ShadowCharges {
  #accountId = '';
  readonly #jobs = new Map<string, Before>();
  readonly #charges = new Map<bigint, Before>();

  /** The charge that a decision makes; null: it makes none. */
  add(decision: ShadowDecision): ShadowCharge | null {
    if (decision.accountId !== this.#accountId) this.#begin(decision.accountId);
    const { kind, reservationId, seq } = decision;
    switch (kind) {
      case Entry_Kind.RESERVE:
      case Entry_Kind.RAISE:
        this.#addToJob(decision);
        return null;
      case Entry_Kind.COMMIT:
      case Entry_Kind.CHARGE: {
        const charge = toCharge(decision, this.#jobs.get(reservationId) ?? null);
        const { operations, refusedBecause } = charge;
        this.#charges.set(seq, { requestId: decision.requestId, operations, refusedBecause });
        return charge;
      }
      case Entry_Kind.REFUND:
        return toRefund(decision, this.#charges.get(decision.refundedSeq) ?? null);
      default:
        return null;
    }
  }

  #begin(accountId: string) {
    this.#accountId = accountId;
    this.#jobs.clear();
    this.#charges.clear();
  }

  /** A job is refused as a whole: its commit could not have been made either. */
  #addToJob({ reservationId, requestId, refusedBecause, usages }: ShadowDecision) {
    const job = this.#jobs.get(reservationId);
    const operations = new Map(job?.operations);
    for (const { usage, credits } of usages) add(operations, usage?.operation ?? '', credits);
    this.#jobs.set(reservationId, {
      requestId: job?.requestId ?? requestId,
      refusedBecause: job?.refusedBecause || refusedBecause,
      operations,
    });
  }
}

function toCharge(decision: ShadowDecision, job: Before | null): ShadowCharge {
  const { accountId, requestId, reference, credits, usages, at, refusedBecause } = decision;
  const named = new Map<string, bigint>();
  for (const line of usages) add(named, line.usage?.operation ?? '', line.credits);
  return {
    accountId,
    ids: [requestId, reference, job?.requestId ?? ''].filter((id) => id !== ''),
    operations: divided(credits, named.size > 0 ? named : (job?.operations ?? named)),
    credits,
    at: at?.getTime() ?? 0,
    refusedBecause: refusedBecause || (job?.refusedBecause ?? ''),
  };
}

function toRefund(decision: ShadowDecision, charge: Before | null): ShadowCharge {
  const { accountId, requestId, reference, at } = decision;
  const credits = -decision.credits;
  return {
    accountId,
    ids: [requestId, reference].filter((id) => id !== ''),
    operations: divided(credits, charge?.operations ?? new Map()),
    credits,
    at: at?.getTime() ?? 0,
    refusedBecause: charge?.refusedBecause ?? '',
  };
}

/** Credits of one operation are its own. Of several, they are known only where they are the price of all. */
function divided(
  credits: bigint,
  operations: ReadonlyMap<string, bigint>,
): ReadonlyMap<string, bigint> {
  const [only] = operations.keys();
  if (operations.size === 1 && only !== undefined) return new Map([[only, credits]]);
  const price = [...operations.values()].reduce((sum, one) => sum + one, 0n);
  if (price === credits) return operations;
  if (price === -credits)
    return new Map(Array.from(operations, ([operation, one]) => [operation, -one]));
  return new Map();
}

function add(operations: Map<string, bigint>, operation: string, credits: bigint) {
  operations.set(operation, (operations.get(operation) ?? 0n) + credits);
}
