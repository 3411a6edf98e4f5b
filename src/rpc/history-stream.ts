/** StreamHistory: entries in seq order, from one stretch of the ledger to the next. */
import type { Clock } from '../clock.ts';
import type { Em } from '../db/orm.ts';
import { Failure } from '../failure.ts';
import type {
  StreamHistoryRequest,
  StreamHistoryResponse,
} from '../gen/billing/v1/billing_service.ts';
import { Entry_Kind } from '../gen/billing/v1/ledger.ts';
import type { EntryKind } from '../ledger/entry.ts';
import { accountNotFound } from '../ledger/rules/account.ts';
import { type HistoryFilter, lastSeqBefore, newestSeq, readEntries } from '../store/history.ts';
import type { Tail } from '../store/tail.ts';
import { Check } from './check.ts';
import { entryMessage } from './messages.ts';

/** Entries looked at per message. A short read each: no cursor stays open for a slow reader. */
const STRETCH = 500n;

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
  write: (response: StreamHistoryResponse) => Promise<void>,
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
      const until = after + STRETCH < last ? after + STRETCH : last;
      const entries = await readEntries(em(), accountId, after, until, filter);
      await write({ entries: entries.map(entryMessage), nextAfterSeq: until });
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
