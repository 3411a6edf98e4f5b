/** ListEntries: an account's entries, newest first. */
import { canonicalJson } from '../../canonical.ts';
import type {
  ListEntriesRequest,
  ListEntriesResponse,
} from '../../gen/billing/v1/billing_service.ts';
import { Entry as EntryMessage } from '../../gen/billing/v1/ledger.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import { min } from '../../min.ts';
import { findNewestEntries, lastSeqBefore, newestSeq } from '../../queries/entries.ts';
import { FieldChecker } from '../call/field-checker.ts';
import { decodePageToken, encodePageToken, SEQ_KEY, toPage } from '../call/pages.ts';
import { entryMessage } from '../messages/entry.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseEntryFilter, parsePeriod } from './entry-fields.ts';

export async function listEntries(
  { em, archive }: ServiceContext,
  request: ListEntriesRequest,
): Promise<ListEntriesResponse> {
  const { accountId, pageSize, filter, beforeSeq, from, to } = parseRequest(request);
  const list = ['entries', accountId, canonicalJson({ ...filter, beforeSeq, from, to })];
  const token = decodePageToken(list, request.pageToken, SEQ_KEY);
  const newest = await newestSeq(em(), accountId);
  if (newest === null) throw accountNotFound(accountId);
  const seqBefore = (instant: number) => lastSeqBefore(em(), archive, accountId, instant, newest);
  const ends = [newest];
  if (token !== null) ends.push(BigInt(token));
  if (beforeSeq > 0n) ends.push(beforeSeq - 1n);
  if (to !== null) ends.push(await seqBefore(to));
  const range = {
    accountId,
    afterSeq: from === null ? 0n : await seqBefore(from),
    upToSeq: ends.reduce(min),
  };
  const { entries, lookedDownTo } = await findNewestEntries(
    em(),
    archive,
    range,
    filter,
    pageSize + 1,
  );
  // The key of a token is the seq of the newest entry that the page may have.
  const tokenOf = (seq: bigint) => (seq > 0n ? encodePageToken(list, seq) : '');
  const { messages, nextPageToken } = toPage(
    entries,
    pageSize,
    EntryMessage,
    entryMessage,
    ({ seq }) => tokenOf(seq - 1n),
  );
  return { entries: messages, nextPageToken: nextPageToken || tokenOf(lookedDownTo ?? 0n) };
}

function parseRequest(request: ListEntriesRequest) {
  const { beforeSeq } = request;
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  const pageSize = check.pageSize(request.pageSize);
  if (beforeSeq < 0n) check.addViolation('before_seq', 'must be 0 or more');
  const filter = parseEntryFilter(request, check);
  const period = parsePeriod(request, check);
  check.throwIfInvalid();
  return { accountId, pageSize, beforeSeq, filter, ...period };
}
