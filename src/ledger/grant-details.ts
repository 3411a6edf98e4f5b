/**
 * What the entry that makes a grant states of it: every term that never changes. So the hash chain covers them,
 * and the grant's row cannot get other ones unnoticed.
 */
import type { Labels } from './entry.ts';
import { type Grant, isLimited } from './grant.ts';

/** The amount is the entry's credits. An operator's reference, and the id of a purchase, are on the entry as well. */
export const grantDetails = (grant: Grant): Labels => ({
  source: grant.source,
  ...(grant.source !== 'OPERATOR' &&
    grant.source !== 'PURCHASE' && { source_reference: grant.sourceReference }),
  category: grant.category,
  priority: grant.priority.toString(),
  effective_at: instantText(grant.effectiveAt),
  expires_at: grant.expiresAt === null ? 'never' : instantText(grant.expiresAt),
  ...(isLimited(grant) && { operations: grant.operations.join(',') }),
});

/** An instant as details state it. */
export const instantText = (at: number): string => new Date(at).toISOString();
