/** Grants, and the parts of amounts that came from them, as messages. */

import {
  type Allocation as AllocationMessage,
  Grant_Category,
  Grant_Source,
  Grant_State,
  type Grant as GrantMessage,
} from '../../gen/billing/v1/ledger.ts';
import { type Allocation, OVERAGE, OWED } from '../../ledger/allocation/allocation.ts';
import { currentGrantState, type Grant } from '../../ledger/grant.ts';
import { optionalInstant } from './time.ts';

export const grantMessage = (grant: Grant, now: number): GrantMessage => ({
  grantId: grant.grantId,
  amount: grant.amount,
  remaining: grant.remaining,
  reserved: grant.reserved,
  category: Grant_Category[grant.category],
  priority: grant.priority,
  effectiveAt: new Date(grant.effectiveAt),
  expiresAt: optionalInstant(grant.expiresAt),
  source: Grant_Source[grant.source],
  sourceReference: grant.sourceReference,
  state: Grant_State[currentGrantState(grant, now)],
  createdAt: new Date(grant.createdAt),
  operations: [...grant.operations],
  stranded: grant.stranded && grant.remaining > 0n,
  voided: grant.voided,
  voidOnReturn: grant.voidOnReturn,
});

export const allocationMessage = ({ grantId, credits }: Allocation): AllocationMessage => ({
  source: sourceMessage(grantId),
  credits,
});

function sourceMessage(grantId: bigint): AllocationMessage['source'] {
  if (grantId === OVERAGE) return { $case: 'overage', value: true };
  return grantId === OWED ? { $case: 'owed', value: true } : { $case: 'grantId', value: grantId };
}
