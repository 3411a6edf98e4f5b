/** Charge and Refund. */
import {
  ChargeRequest,
  ChargeResponse,
  RefundRequest,
  RefundResponse,
} from '../../gen/billing/v1/billing_service.ts';
import type { FieldChecker } from '../call/field-checker.ts';
import { defineMutation } from '../call/mutation.ts';
import { balanceMessage } from '../messages/balance.ts';
import { allocationMessage, grantMessage } from '../messages/grant.ts';
import { pricedUsageMessage } from '../messages/priced-usage.ts';
import { parseCriticality, parseRequestedAmount } from './usage-fields.ts';

export const charge = defineMutation(
  'Charge',
  ChargeRequest,
  ChargeResponse,
  (request, check) => ({
    kind: 'Charge',
    amount: parseRequestedAmount(request, check),
    rateCardVersion: check.rateCardVersion(request.rateCardVersion),
    reference: check.text('reference', request.reference, 256),
    labels: check.labels('labels', request.labels),
    criticality: parseCriticality(request, check),
    usedAt: check.instant('used_at', request.usedAt),
  }),
  (outcome, book) => ({
    credits: outcome.credits,
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    lines: outcome.lines.map(pricedUsageMessage),
  }),
);

/** Exactly one of `credits` and `all` must be given. */
function parseRefundedCredits({ credits, all }: RefundRequest, check: FieldChecker) {
  if ((credits === undefined) === (all === undefined))
    check.addViolation('credits', 'give credits or all, exactly one of them');
  return check.all('all', all) || credits === undefined
    ? 'all'
    : check.credits('credits', credits, 1n);
}

export const refund = defineMutation(
  'Refund',
  RefundRequest,
  RefundResponse,
  (request, check) => {
    if (request.seq <= 0n) check.addViolation('seq', 'must be the entry_seq of a commit or charge');
    return {
      kind: 'Refund',
      seq: request.seq,
      credits: parseRefundedCredits(request, check),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
      reason: check.reason(request.reason),
    };
  },
  (outcome, book) => ({
    refunded: outcome.refunded,
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    expired: outcome.expired,
    voided: outcome.voided,
    newGrants: outcome.newGrants.map((grant) => grantMessage(grant, book.now)),
  }),
);
