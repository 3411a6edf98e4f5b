/** The history of an account as an iterator that loses nothing and repeats nothing. */
import { status } from '@grpc/grpc-js';
import type { CallOptions } from './call-options.ts';
import type {
  StreamHistoryRequest,
  StreamHistoryResponse,
} from './gen/billing/v1/billing_service.ts';
import type { Entry } from './gen/billing/v1/ledger.ts';
import { PositionLost } from './gen/reasons.ts';
import type { DeepPartial } from './method.ts';
import { reopened } from './reopened.ts';

/** Options of iterators. */
export type FollowOptions = Omit<CallOptions, 'timeoutMs'> & {
  /** True: does not end, and goes on with what is written. Default false. */
  readonly follow?: boolean;
  /**
   * How long to try without an answer of the service before the iterator throws, in milliseconds. Default: 60,000;
   * with `follow` no limit.
   */
  readonly timeoutMs?: number;
};

export type HistoryOptions = FollowOptions &
  Omit<DeepPartial<StreamHistoryRequest>, 'accountId' | 'afterSeq' | 'follow'> & {
    /** Only entries after this seq: that of the last entry which was processed. Default 0: from the first. */
    readonly afterSeq?: bigint;
  };

type OpenHistory = (
  request: DeepPartial<StreamHistoryRequest>,
  options: CallOptions,
) => AsyncIterable<StreamHistoryResponse>;

const TIMEOUT_MS = 60_000;

export const timeoutOf = ({ follow = false, timeoutMs }: FollowOptions): number =>
  timeoutMs ?? (follow ? Number.POSITIVE_INFINITY : TIMEOUT_MS);

/** With filters, entries further apart than this are not looked for again only to compare their hashes. */
const SEQS_LOOKED_BACK = 1_000n;

/**
 * Entries of an account in the order of their seqs, each once. Throws PositionLost if the service has lost entries
 * that were yielded: its database was restored, or a standby that lacked them was promoted.
 */
export async function* history(
  streamHistory: OpenHistory,
  accountId: string,
  {
    afterSeq = 0n,
    follow = false,
    signal,
    metadata,
    traceparent,
    timeoutMs,
    ...filters
  }: HistoryOptions,
): AsyncGenerator<Entry, void, void> {
  const callOptions = defined({ signal, metadata, traceparent });
  let position = afterSeq;
  let last: Entry | undefined;
  const open = async function* (): AsyncGenerator<StreamHistoryResponse> {
    // The last entry comes again, to see that it is still the same: its hash covers all entries before it.
    let expected = last && position - last.seq < SEQS_LOOKED_BACK ? last : undefined;
    const request = { accountId, follow, ...filters };
    const from = expected ? expected.seq - 1n : position;
    for await (const message of streamHistory({ ...request, afterSeq: from }, callOptions)) {
      const [first] = message.entries;
      if (expected && (first || message.nextAfterSeq >= expected.seq)) {
        if (!first || !isSame(first, expected)) throw positionLost(expected.seq, first?.seq);
        expected = undefined;
        message.entries.shift();
      }
      yield message;
    }
    if (expected) throw positionLost(expected.seq, undefined);
  };
  const limits = { follow, signal, timeoutMs: timeoutOf({ follow, ...defined({ timeoutMs }) }) };
  for await (const { entries, nextAfterSeq } of reopened(open, limits)) {
    for (const entry of entries) {
      position = entry.seq;
      last = entry;
      yield entry;
    }
    if (nextAfterSeq > position) position = nextAfterSeq;
  }
}

const isSame = (one: Entry, other: Entry): boolean =>
  one.seq === other.seq && Buffer.compare(one.hash, other.hash) === 0;

function positionLost(after: bigint, newest: bigint | undefined): PositionLost {
  return new PositionLost({
    code: status.FAILED_PRECONDITION,
    reason: 'POSITION_LOST',
    message: `the service has lost entries up to ${after}, or has others in their place`,
    metadata: { after: String(after), newest: String(newest ?? '') },
    violations: [],
    retryAfterMs: undefined,
    outcome: 'none',
    cause: undefined,
  });
}

/** The values that are given: options that are left out may not be undefined. */
export const defined = <Options extends object>(options: Options): Defined<Options> =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => value !== undefined),
  ) as Defined<Options>;

type Defined<Options> = { [Key in keyof Options]?: Exclude<Options[Key], undefined> };
