/** StreamHistory: entries in seq order, from one stretch of the ledger to the next. */
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Clock } from '../../clock.ts';
import { Failure } from '../../failure.ts';
import type { StreamHistoryRequest } from '../../gen/billing/v1/billing_service.ts';
import { Entry_Kind, Entry as EntryMessage } from '../../gen/billing/v1/ledger.ts';
import type { Entry, EntryKind } from '../../ledger/entry.ts';
import { accountNotFound } from '../../ledger/failures.ts';
import type { Em } from '../../pg/orm.ts';
import {
  type HistoryFilter,
  lastSeqBefore,
  newestSeq,
  readEntries,
} from '../../queries/history.ts';
import type { Tail } from '../../queries/tail.ts';
import { encode } from '../call/encode.ts';
import { Check } from '../call/field-checker.ts';
import { entryMessage } from '../messages/ledger.ts';

/** Entries looked at per message. A short read each: no cursor stays open for a slow reader. */
const PAGE_SIZE = 500n;

export type HistoryContext = {
  readonly em: () => Em;
  readonly clock: Clock;
  readonly tail: Tail;
  /** Aborts when the service stops. */
  readonly stopping: AbortSignal;
};

const KINDS = new Map<Entry_Kind, EntryKind>(
  (Object.keys(Entry_Kind) as (keyof typeof Entry_Kind)[])
    .filter((name) => name !== 'UNSPECIFIED')
    .map((name) => [Entry_Kind[name], name as EntryKind]),
);

export async function streamHistory(
  context: HistoryContext,
  request: StreamHistoryRequest,
  write: (response: Uint8Array) => Promise<void>,
  gone: AbortSignal,
): Promise<void> {
  const { accountId, filter, from, to } = checked(request);
  const { em } = context;
  const first = await newestSeq(em(), accountId);
  if (first === null) throw accountNotFound(accountId);
  const fromSeq = from === null ? 0n : await lastSeqBefore(em(), accountId, from, first);
  let after = request.afterSeq > fromSeq ? request.afterSeq : fromSeq;
  const signal = AbortSignal.any([gone, context.stopping]);

  for (let newest = first; ; newest = (await newestSeq(em(), accountId)) ?? 0n) {
    const last = to === null ? newest : await lastSeqBefore(em(), accountId, to, newest);
    while (after < last && !signal.aborted) {
      const until = after + PAGE_SIZE < last ? after + PAGE_SIZE : last;
      const entries = await readEntries(em(), accountId, after, until, filter);
      for (const message of messages(entries, until)) await write(message);
      after = until;
    }
    if (context.stopping.aborted)
      throw new Failure('SHUTTING_DOWN', 'this replica is stopping; resume on another', {
        next_after_seq: after,
      });
    const over = to !== null && (last < newest || to <= context.clock());
    if (!request.follow || over || gone.aborted) return;
    await context.tail.changed(accountId, newest, signal);
  }
}

/**
 * The responses that carry entries read up to `until`: one, or several where entries are large, for
 * receivers refuse messages above 4 MB. Entries are encoded once, to be weighed and sent.
 */
function* messages(entries: readonly Entry[], until: bigint): Generator<Uint8Array> {
  let writer = new BinaryWriter();
  let bytes = 0;
  for (const [index, entry] of entries.entries()) {
    const encoded = encode(EntryMessage, entryMessage(entry));
    writer.uint32(ENTRIES_TAG).bytes(encoded);
    bytes += encoded.length;
    if (bytes < MESSAGE_BYTES || index === entries.length - 1) continue;
    yield writer.uint32(NEXT_AFTER_SEQ_TAG).int64(entry.seq).finish();
    writer = new BinaryWriter();
    bytes = 0;
  }
  yield writer.uint32(NEXT_AFTER_SEQ_TAG).int64(until).finish();
}

/** Fields of StreamHistoryResponse, as they are on the wire: number and wire type. */
const ENTRIES_TAG = (1 << 3) | 2;
const NEXT_AFTER_SEQ_TAG = 2 << 3;
/** A message is closed once it carries so much. */
const MESSAGE_BYTES = 512 * 1024;

function checked(request: StreamHistoryRequest) {
  const check = new Check();
  const accountId = check.accountId(request.accountId);
  if (request.afterSeq < 0n) check.refuse('after_seq', 'must be 0 or more');
  const kinds: EntryKind[] = [];
  for (const kind of request.kinds) {
    const known = KINDS.get(kind);
    if (known) kinds.push(known);
    else check.refuse('kinds', 'must be kinds of entries');
  }
  const from = check.instant('from', request.from);
  const to = check.instant('to', request.to);
  if (from !== null && to !== null && to < from) check.refuse('to', 'must not be before from');
  const filter: HistoryFilter = {
    kinds,
    operation: check.text('operation', request.operation, 128),
    reference: check.text('reference', request.reference, 256),
  };
  check.pass();
  return { accountId, filter, from, to };
}
