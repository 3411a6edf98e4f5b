/** ResolvePurchase: an operator decides about a payment that differs from its order. */
import {
  ResolvePurchaseRequest,
  ResolvePurchaseResponse,
} from '../../gen/billing/v1/account_service.ts';
import { Purchase_Resolution_Decision } from '../../gen/billing/v1/ledger.ts';
import type { ResolvePurchase } from '../../ledger/rules/resolve-purchase.ts';
import type { FieldChecker } from '../call/field-checker.ts';
import { defineMutation } from '../call/mutation.ts';
import { balanceMessage } from '../messages/balance.ts';
import { grantMessage } from '../messages/grant.ts';
import { purchaseMessage } from '../messages/purchase.ts';

export const resolvePurchase = defineMutation(
  'ResolvePurchase',
  ResolvePurchaseRequest,
  ResolvePurchaseResponse,
  (request, check) => ({
    kind: 'ResolvePurchase',
    purchaseId: check.purchaseId(request.purchaseId),
    decision: parseDecision(request.decision, check),
    reason: check.reason(request.reason),
  }),
  ({ purchase, grant, entrySeq }, book) => ({
    purchase: purchaseMessage(purchase, grant),
    balance: balanceMessage(book),
    entrySeq,
    grant: grant ? grantMessage(grant, book.now) : undefined,
  }),
);

function parseDecision(
  decision: Purchase_Resolution_Decision,
  check: FieldChecker,
): ResolvePurchase['decision'] {
  if (decision === Purchase_Resolution_Decision.ACCEPTED) return 'ACCEPTED';
  if (decision !== Purchase_Resolution_Decision.REJECTED)
    check.addViolation('decision', 'must be ACCEPTED or REJECTED');
  return 'REJECTED';
}
