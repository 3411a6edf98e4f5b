/** Refund, as the contract describes it. */
import { Entry_Kind, Grant_Source } from '../../../src/gen/billing/v1/ledger.ts';
import type { Deciding } from './deciding.ts';
import { addGrant, grantPaidOwed } from './due.ts';
import { freeOf, ofGrant, voidedOf } from './funding.ts';
import { balanceOf, grantOf } from './messages.ts';
import { Refusal } from './refusal.ts';
import type { First, RequestOf } from './requests.ts';
import {
  type AccountState,
  cut,
  hasExpired,
  OVERAGE,
  OWED,
  type Part,
  toAllocations,
  totalOf,
} from './state.ts';

export function refund(
  state: AccountState,
  request: RequestOf<'refund'>,
  { now, author }: Deciding,
): First<'refund'> | Refusal {
  const spending = state.spendings.get(request.seq);
  if (!spending) return new Refusal('ENTRY_NOT_FOUND', { seq: request.seq });
  const allowed = totalOf(spending.split) - spending.refunded;
  const credits = request.credits ?? allowed;
  if (credits > allowed || allowed === 0n)
    return new Refusal('EXCEEDS_COMMIT', { asked: credits, allowed, seq: request.seq });
  const backwards = spending.split.toReversed();
  const split = cut(cut(backwards, spending.refunded).rest, credits).first;
  const isLost = ({ grantId }: Part) => grantId > OVERAGE && hasExpired(state.grant(grantId), now);
  const { voided, rest: kept } = voidedOf(state, split);
  const owed = cut(
    kept.filter(({ grantId }) => grantId === OWED),
    state.owed,
  );
  const rest = kept.filter(({ grantId }) => grantId !== OWED);
  const lost = rest.filter(isLost);
  const anew = state.plan.refundExpired === 'new_grant' ? lost : [];
  const reference = request.reference || spending.reference;
  const labels = new Map([...spending.labels, ...request.labels]);
  const entry = state.post(
    Entry_Kind.REFUND,
    now,
    {
      moves: [
        ...rest
          .filter((part) => !isLost(part))
          .map((part) => ({ ...part, from: 'consumed' as const, to: freeOf(part) })),
        ...owed.first.map((part) => ({
          ...ofGrant(part),
          from: 'consumed' as const,
          to: 'owed' as const,
        })),
        ...owed.rest.map((part) => ({
          ...ofGrant(part),
          from: 'consumed' as const,
          to: 'issued' as const,
        })),
        ...lost.map((part) => ({
          ...part,
          from: 'consumed' as const,
          to: anew.length > 0 ? ('issued' as const) : ('expired' as const),
        })),
        ...voided.map((part) => ({ ...part, from: 'consumed' as const, to: 'voided' as const })),
      ],
      credits,
      refundedSeq: spending.seq,
      refundedAt: spending.at,
      reservationId: spending.reservationId,
      planId: spending.planId,
      rateCardVersion: spending.rateCardVersion,
      reference,
      labels,
      details: new Map([['reason', request.reason]]),
    },
    author,
  );
  const paidDebts = owed.rest.map(({ credits: paid }) =>
    grantPaidOwed(state, paid, now, { reference, labels }, author),
  );
  const newGrants = anew.map((part) => {
    const old = state.grant(part.grantId);
    const length = (old.expiresAt ?? now) - old.effectiveAt;
    const { category, priority, operations } = old;
    const grant = {
      ...{ amount: part.credits, category, priority, operations, effectiveAt: now },
      expiresAt: old.expiresAt === null ? null : now + length,
      source: Grant_Source.REFUND,
      sourceReference: `${part.grantId}`,
    };
    return addGrant(state, grant, now, { reference, labels }, author);
  });
  state.refunds = [...state.refunds, { at: now, spending, split }];
  state.spendings.set(spending.seq, { ...spending, refunded: spending.refunded + credits });
  return {
    refunded: credits,
    balance: balanceOf(state, now),
    entrySeq: entry.seq,
    split: toAllocations(split),
    expired: totalOf(lost) - totalOf(anew),
    voided: totalOf(voided),
    newGrants: [...paidDebts, ...newGrants]
      .map(({ grantId }) => state.grant(grantId))
      .map((grant) => grantOf(grant, now)),
  };
}
