/**
 * What operators voided of grants, as the entries say: at once, of a grant that was not effective yet, and as it
 * comes back. Compares the grants' rows with it.
 */
import type { Entry, Move } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import { readCount } from './erasure.ts';
import type { Report } from './findings.ts';

type Voided = {
  /** With and without moves. */
  readonly credits: bigint;
  /** Of these, what was never issued. */
  readonly unissued: bigint;
  /** What is still to be voided as it comes back. */
  readonly onReturn: bigint;
};

const NOTHING: Voided = { credits: 0n, unissued: 0n, onReturn: 0n };

/** The buckets that credits come back from. */
const RETURNING = ['reserved', 'consumed'];

export class VoidedGrants {
  readonly #grants: ReadonlyMap<bigint, Grant>;
  readonly #voided = new Map<bigint, Voided>();

  constructor(grants: ReadonlyMap<bigint, Grant>) {
    this.#grants = grants;
  }

  of(grantId: bigint): Voided {
    return this.#voided.get(grantId) ?? NOTHING;
  }

  /** Checks the account's next entry. */
  apply(entry: Entry, report: Report) {
    if (entry.kind === 'VOID_GRANT') this.#begin(entry, report);
    const grantIds = new Set(entry.moves.map(({ grantId }) => grantId));
    for (const grantId of grantIds) {
      const { returned, voided } = returnsOf(entry.moves, grantId);
      const { onReturn } = this.of(grantId);
      const expected = returned < onReturn ? returned : onReturn;
      if (voided !== expected)
        report(
          `voids ${voided} of ${returned} that come back to grant ${grantId}, ${onReturn} were to be`,
        );
      this.#add(grantId, voided, { onReturn: -voided });
    }
  }

  /** Compares the grants' rows. */
  finish(report: Report) {
    for (const { grantId, voided, voidOnReturn } of this.#grants.values()) {
      const { credits, onReturn } = this.of(grantId);
      const compare = (name: string, stated: bigint, said: bigint) => {
        if (stated !== said)
          report(`grant ${grantId}: ${name} is ${stated}, the entries say ${said}`);
      };
      compare('voided', voided, credits);
      compare('void_on_return', voidOnReturn, onReturn);
    }
  }

  #begin({ grantId, credits, moves, details, at }: Entry, report: Report) {
    const id = grantId ?? 0n;
    const grant = this.#grants.get(id);
    const stated = details['void_on_return'];
    const onReturn = BigInt(readCount(stated));
    if (stated !== undefined && onReturn === 0n) report(`voids ${stated} as it comes back`);
    if (credits === 0n && onReturn === 0n) report('voids nothing');
    const isScheduled = grant !== undefined && grant.effectiveAt > at && moves.length === 0;
    this.#add(id, credits, { onReturn, unissued: isScheduled ? credits : 0n });
    if (grant && this.of(id).unissued > grant.amount)
      report(`voids ${credits} of grant ${id} before it is effective, which has fewer`);
  }

  #add(grantId: bigint, credits: bigint, { onReturn = 0n, unissued = 0n }) {
    const before = this.of(grantId);
    this.#voided.set(grantId, {
      credits: before.credits + credits,
      unissued: before.unissued + unissued,
      onReturn: before.onReturn + onReturn,
    });
  }
}

/** What moves give back of reservations and of what was consumed, and what of that is voided. */
function returnsOf(moves: readonly Move[], ofGrant: bigint) {
  let returned = 0n;
  let voided = 0n;
  for (const { from, to, grantId, credits } of moves) {
    if (grantId !== ofGrant || !RETURNING.includes(from) || to === 'consumed') continue;
    returned += credits;
    if (to === 'voided') voided += credits;
  }
  return { returned, voided };
}
