/**
 * UpdateGrant: an operator changes the expiry, the priority or the operations of a grant. The entry has the old and
 * the new terms, so the audit can replay them.
 */
import { unknownOperationAt } from '../../pricing/usage-failures.ts';
import type { Book } from '../book.ts';
import type { Labels, Origin } from '../entry.ts';
import { expiryNoticeAt, scheduleExpiry } from '../expiry-notice.ts';
import {
  accountClosed,
  grantEnded,
  grantNotFound,
  grantReserved,
  invalidField,
} from '../failures.ts';
import { currentGrantState, type Grant } from '../grant.ts';
import { instantText } from '../grant-details.ts';

export type UpdateGrant = {
  readonly kind: 'UpdateGrant';
  readonly grantId: bigint;
  /** Undefined: unchanged, as are the next two. */
  readonly priority?: number;
  /** Null: never. */
  readonly expiresAt?: number | null;
  /** Without duplicates; empty: all. */
  readonly operations?: readonly string[];
  readonly reference: string;
  readonly labels: Labels;
  /** Why, for people. */
  readonly reason: string;
};

export function updateGrant(book: Book, command: UpdateGrant, origin: Origin) {
  const { account, now } = book;
  const { grantId } = command;
  if (account.state === 'CLOSED') return accountClosed(book);
  const grant = book.findGrant(grantId);
  if (!grant) return grantNotFound(account.accountId, grantId);
  const state = currentGrantState(grant, now);
  if (state !== 'OPEN' && state !== 'SCHEDULED') return grantEnded(grantId, state);
  const failure = checkTerms(book, grant, command);
  if (failure) return failure;

  const { priority = grant.priority, expiresAt = grant.expiresAt } = command;
  const operations = command.operations?.toSorted() ?? grant.operations;
  const before = textsOf(grant);
  const hasNewExpiry = expiresAt !== grant.expiresAt;
  const after = textsOf({ priority, expiresAt, operations });
  const changed = TERMS.filter((name) => after[name] !== before[name]);
  if (changed.length === 0) return { kind: 'UpdateGrant', grant, entrySeq: 0n } as const;
  book.changeTerms(grant, { priority, expiresAt, operations });
  // Other operations: other credits are usable.
  if (changed.includes('operations')) book.changes.settings = true;
  const entry = book.post(
    {
      kind: 'UPDATE_GRANT',
      grantId,
      details: Object.fromEntries(
        changed.flatMap((name) => [
          [name, after[name]],
          [`previous_${name}`, before[name]],
        ]),
      ),
      reference: command.reference,
      labels: command.labels,
      personal: { reason: command.reason },
    },
    origin,
  );
  emitUpdated(book, grant, origin);
  if (hasNewExpiry) {
    grant.noticeAt = expiryNoticeAt(book.plan.terms, grant);
    scheduleExpiry(book, grant, origin);
  }
  return { kind: 'UpdateGrant', grant, entrySeq: entry.seq } as const;
}

function checkTerms(book: Book, grant: Grant, { expiresAt = null, operations }: UpdateGrant) {
  if (expiresAt !== null && expiresAt <= Math.max(book.now, grant.effectiveAt))
    return invalidField('expiry.expires_at', 'must be after now and after effective_at');
  if (!operations) return null;
  const { rateCard } = book.plan;
  for (const [index, operation] of operations.entries())
    if (!rateCard.operations.has(operation))
      return unknownOperationAt(rateCard, operation, `operations.only_for.operations[${index}]`);
  return grant.reserved > 0n && !includesAll(operations, grant.operations)
    ? grantReserved(grant)
    : null;
}

/** Whether a grant of these operations pays for everything that one of `others` pays for. */
const includesAll = (operations: readonly string[], others: readonly string[]): boolean =>
  operations.length === 0 ||
  (others.length > 0 && others.every((operation) => operations.includes(operation)));

const TERMS = ['priority', 'expires_at', 'operations'] as const;

/** As the entry and the event state them. */
const textsOf = ({
  priority,
  expiresAt,
  operations,
}: Pick<Grant, 'priority' | 'expiresAt' | 'operations'>) => ({
  priority: priority.toString(),
  expires_at: expiresAt === null ? 'never' : instantText(expiresAt),
  operations: operations.join(','),
});

const emitUpdated = (book: Book, grant: Grant, origin: Origin) =>
  book.emitEvent(
    'grant.updated',
    { grant_id: grant.grantId.toString(), ...textsOf(grant), category: grant.category },
    origin,
  );
