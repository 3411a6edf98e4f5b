/** The fields that select entries of an account. */
import type {
  ListEntriesRequest,
  StreamHistoryRequest,
} from '../../gen/billing/v1/billing_service.ts';
import { Entry_Kind } from '../../gen/billing/v1/ledger.ts';
import type { EntryKind } from '../../ledger/entry.ts';
import type { EntryFilter } from '../../queries/entry-filter.ts';
import type { FieldChecker } from '../call/field-checker.ts';

type Request = ListEntriesRequest | StreamHistoryRequest;

const KINDS = new Map<Entry_Kind, EntryKind>(
  (Object.keys(Entry_Kind) as (keyof typeof Entry_Kind)[])
    .filter((name) => name !== 'UNSPECIFIED')
    .map((name) => [Entry_Kind[name], name as EntryKind]),
);

/** Each id in the form in which it is stored. */
export const parseEntryFilter = (request: Request, check: FieldChecker): EntryFilter => ({
  kinds: check.values('kinds', request.kinds, KINDS),
  operation: check.text('operation', request.operation, 128),
  reference: check.text('reference', request.reference, 256),
  reservationId: request.reservationId && check.reservationId(request.reservationId),
  requestId: request.entryRequestId && check.requestId(request.entryRequestId, 'entry_request_id'),
  traceId: request.traceId && check.traceId(request.traceId),
  labels: check.labels('labels', request.labels),
  labelKeys: check.labelKeys(request.labelKeys),
});

/** from <= at < to. Null: no limit. */
export function parsePeriod(request: Request, check: FieldChecker) {
  const from = check.instant('from', request.from);
  const to = check.instant('to', request.to);
  if (from !== null && to !== null && to < from)
    check.addViolation('to', 'must not be before from');
  return { from, to };
}
