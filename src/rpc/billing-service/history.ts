/** StreamHistory: an account's entries in seq order, read page by page. */
import { WireType } from '@bufbuild/protobuf/wire';
import type { Archive } from '../../archive/archive.ts';
import { Failure } from '../../failure.ts';
import type { StreamHistoryRequest } from '../../gen/billing/v1/billing_service.ts';
import { Entry as EntryMessage } from '../../gen/billing/v1/ledger.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Em } from '../../pg/orm.ts';
import type { Permissions } from '../../policy/permissions.ts';
import { findEntries, findNewest, lastSeqBefore, type Newest } from '../../queries/entries.ts';
import { type EntryFilter, type EntryRange, isSelective } from '../../queries/entry-filter.ts';
import type { CallRecord } from '../../telemetry/call-record.ts';
import { FieldChecker } from '../call/field-checker.ts';
import type { Write } from '../call/handlers.ts';
import { encodeStreamPages, positionLost, RESUME_AFTER_FIELD } from '../call/stream-pages.ts';
import { entryMessage } from '../messages/entry.ts';
import type { ServiceContext } from '../service-context.ts';
import { parseEntryFilter, parsePeriod } from './entry-fields.ts';

/** Entries per read. Every read is a short query of its own: a slow reader keeps no cursor open. */
const PAGE_SIZE = 500;

/** Of an account that has gone. */
const NOTHING: Newest = { seq: 0n, hash: Buffer.alloc(0), hashAt: null, archivedSeq: 0n };

export async function streamHistory(
  context: ServiceContext,
  request: StreamHistoryRequest,
  write: Write,
  cancelled: AbortSignal,
  _permitted: () => Permissions,
  call: CallRecord,
): Promise<void> {
  const { em, archive, clock, tail, stopping, cells, readMap } = context;
  const { accountId, filter, from, to } = parseRequest(request);
  const first = await findFirst(context, accountId, request.afterSeq, call);
  if (first === null) throw accountNotFound(accountId);
  const fromSeq =
    from === null ? 0n : await lastSeqBefore(em(), archive, accountId, from, first.seq);
  let after = request.afterSeq > fromSeq ? request.afterSeq : fromSeq;
  /** The hash of the entry at `after`, if it is known. */
  let hashAtAfter: Buffer | null = null;
  const ended = AbortSignal.any([cancelled, stopping]);

  const selective = await isSelective(em(), archive, accountId, filter);

  for (let found = first; ; found = (await findNewest(em(), accountId, after)) ?? NOTHING) {
    const newest = found.seq;
    cells.assertServed(accountId, context.cell);
    const isArchived = after <= found.archivedSeq;
    if (after > newest || (hashAtAfter && !isArchived && !found.hashAt?.equals(hashAtAfter))) {
      // The account may have left a moment ago: the database knows.
      await readMap();
      cells.assertServed(accountId, context.cell);
      throw positionLost(after, newest, `the account has no entry ${after}, or another one`);
    }
    const last = to === null ? newest : await lastSeqBefore(em(), archive, accountId, to, newest);
    while (after < last && !ended.aborted) {
      const upToSeq =
        selective || after + BigInt(PAGE_SIZE) > last ? last : after + BigInt(PAGE_SIZE);
      const range = { accountId, afterSeq: after, upToSeq };
      for (const { bytes, nextAfterSeq } of await readPages(
        em(),
        archive,
        range,
        filter,
        selective,
      )) {
        await write(bytes, { next_after_seq: nextAfterSeq });
        after = nextAfterSeq;
      }
    }
    // What was not found may be in the cell that the account was moved to.
    cells.assertServed(accountId, context.cell);
    hashAtAfter = after === newest ? found.hash : null;
    if (stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; resume on another', {
        next_after_seq: after,
      });
    const isComplete = to !== null && (last < newest || to <= clock.now());
    if (!request.follow || isComplete || cancelled.aborted) return;
    await tail.waitBeyond(accountId, newest, AbortSignal.any([ended, cells.changing]));
  }
}

/**
 * The newest entry. GetBalance counts the entries of what is due, which may not be written yet: a stream that
 * continues from such a balance has them written. Null: there is no such account.
 */
async function findFirst(
  { em, lanes }: ServiceContext,
  accountId: string,
  after: bigint,
  call: CallRecord,
): Promise<Newest | null> {
  const found = await findNewest(em(), accountId, after);
  if (found === null || after <= found.seq) return found;
  const failure = await lanes.settle(accountId, call);
  if (failure) throw failure;
  return await findNewest(em(), accountId, after);
}

/** Encoded at once, so that a stream that waits for its reader keeps bytes and no entries. */
async function readPages(
  em: Em,
  archive: Archive,
  range: EntryRange,
  filter: EntryFilter,
  selective: boolean,
) {
  const entries = await findEntries(em, archive, range, filter, selective, PAGE_SIZE);
  const isFull = entries.length === PAGE_SIZE;
  const until = (isFull && entries.at(-1)?.seq) || range.upToSeq;
  const pages = encodeStreamPages(entries, EntryMessage, entryMessage, (writer, last) =>
    writer.tag(RESUME_AFTER_FIELD, WireType.Varint).int64(last?.seq ?? until),
  );
  return Array.from(pages, ({ bytes, last }) => ({ bytes, nextAfterSeq: last?.seq ?? until }));
}

function parseRequest(request: StreamHistoryRequest) {
  const check = new FieldChecker();
  const accountId = check.accountId(request.accountId);
  if (request.afterSeq < 0n) check.addViolation('after_seq', 'must be 0 or more');
  const filter = parseEntryFilter(request, check);
  const period = parsePeriod(request, check);
  check.throwIfInvalid();
  return { accountId, filter, ...period };
}
