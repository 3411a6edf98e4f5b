/** Charge and Refund. */
import {
  ChargeRequest,
  ChargeResponse,
  RefundRequest,
  RefundResponse,
} from '../../gen/billing/v1/billing_service.ts';
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
  }),
  (outcome, book) => ({
    credits: outcome.credits,
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    lines: outcome.lines.map(pricedUsageMessage),
  }),
);

export const refund = defineMutation(
  'Refund',
  RefundRequest,
  RefundResponse,
  (request, check) => {
    if (request.seq <= 0n) check.addViolation('seq', 'must be the entry_seq of a commit or charge');
    return {
      kind: 'Refund',
      seq: request.seq,
      credits: request.credits === undefined ? null : check.credits('credits', request.credits, 1n),
      reference: check.text('reference', request.reference, 256),
      labels: check.labels('labels', request.labels),
    };
  },
  (outcome, book) => ({
    refunded: outcome.refunded,
    balance: balanceMessage(book),
    entrySeq: outcome.entrySeq,
    split: outcome.split.map(allocationMessage),
    expired: outcome.expired,
    newGrants: outcome.newGrants.map((grant) => grantMessage(grant, book.now)),
  }),
);
