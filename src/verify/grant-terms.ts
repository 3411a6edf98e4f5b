/** The terms of a grant never change: its row has those that the entry states that made it. */
import type { Entry } from '../ledger/entry.ts';
import type { Grant } from '../ledger/grant.ts';
import type { Report } from './findings.ts';
import { instant } from './instant.ts';

/** Erased references are null. */
type MakingEntry = Pick<Entry, 'seq' | 'details' | 'purchaseId'> & {
  readonly reference: string | null;
};

/** Details of the entry that made a grant. */
export const GRANT_DETAILS = [
  'source',
  'source_reference',
  'category',
  'priority',
  'effective_at',
  'expires_at',
  'operations',
];

export function checkGrantTerms(grant: Grant, entry: MakingEntry, report: Report) {
  const { details } = entry;
  const compare = (name: string, stated: unknown, said: unknown) => {
    if (stated !== said) report(`${name} is ${stated}, entry ${entry.seq} says ${said}`);
  };
  const { source, category, priority, effectiveAt, expiresAt, operations } = grant;
  compare('source', source, details['source']);
  compare('category', category, details['category']);
  compare('priority', `${priority}`, details['priority']);
  compare('effective_at', instant(effectiveAt), details['effective_at']);
  compare('expires_at', expiresAt === null ? 'never' : instant(expiresAt), details['expires_at']);
  compare('operations', operations.join(','), details['operations'] ?? '');
  const reference = sourceReferenceOf(grant, entry);
  if (reference !== null) compare('source_reference', grant.sourceReference, reference);
}

/** What the entry says of it; null if that was erased. */
function sourceReferenceOf(
  { source }: Grant,
  { details, purchaseId, reference }: MakingEntry,
): string | null {
  if (source === 'PURCHASE') return purchaseId ?? '';
  return source === 'OPERATOR' ? reference : (details['source_reference'] ?? '');
}
