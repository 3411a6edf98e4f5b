/**
 * What a journal keeps of a job: one record before each call that decides something, and one after each
 * answer that settles something. Records are plain JSON; requests are in them as they are sent, so that a
 * repeated call has the same content.
 */
import type { MessageType } from '../method.ts';

/** A request message in protobuf's encoding, as base64, without not_after. */
export type PackedRequest = string;

/** What a job came to. `charged` are credits, all parts included, in decimal. */
export type JobEnd = {
  readonly outcome: 'charged' | 'released' | 'refused';
  readonly charged: string;
  /** Of a refused one: the reason of the error, such as "RESERVATION_EXPIRED". */
  readonly reason?: string;
};

export type JournalRecord =
  /** Before Reserve is sent. `at` is for people. */
  | {
      readonly type: 'reserve';
      readonly job: string;
      readonly account: string;
      readonly reference: string;
      readonly at: string;
      readonly request: PackedRequest;
    }
  | { readonly type: 'reserved'; readonly job: string; readonly reservationId: string }
  /** Reserve had no effect. */
  | { readonly type: 'notReserved'; readonly job: string }
  /** The job runs without a reservation, and is charged afterwards at most so many credits. */
  | { readonly type: 'unreserved'; readonly job: string; readonly limit: string }
  /** A part is about to be committed. */
  | {
      readonly type: 'part';
      readonly job: string;
      readonly requestId: string;
      readonly request: PackedRequest;
    }
  /** It was committed, or refused. `refused`: the reason, of one that the work did not hear of. */
  | {
      readonly type: 'partSettled';
      readonly job: string;
      readonly requestId: string;
      readonly refused?: string;
    }
  /** An unreserved job used something: a ChargeRequest that has only usages or credits. */
  | {
      readonly type: 'use';
      readonly job: string;
      readonly requestId: string;
      readonly amount: PackedRequest;
    }
  /** The work is done: it is charged, whatever happens. */
  | { readonly type: 'commit'; readonly job: string; readonly request: PackedRequest }
  | { readonly type: 'charge'; readonly job: string; readonly request: PackedRequest }
  /** The final commit was refused. */
  | { readonly type: 'commitRefused'; readonly job: string; readonly reason: string }
  /** A reservation that nobody uses was given back; its job ran unreserved. */
  | { readonly type: 'released'; readonly job: string }
  /** Nothing is left to do. */
  | ({ readonly type: 'end'; readonly job: string } & JobEnd);

export function pack<Request extends { notAfter: Date | undefined }>(
  type: MessageType<Request>,
  request: Request,
): PackedRequest {
  const bytes = type.encode({ ...request, notAfter: undefined }).finish();
  return Buffer.from(bytes).toString('base64');
}

export const unpack = <Request>(type: MessageType<Request>, packed: PackedRequest): Request =>
  type.decode(Buffer.from(packed, 'base64'));

const TYPES: ReadonlySet<unknown> = new Set<JournalRecord['type']>([
  'reserve',
  'reserved',
  'notReserved',
  'unreserved',
  'part',
  'partSettled',
  'use',
  'commit',
  'charge',
  'commitRefused',
  'released',
  'end',
]);

export const toLine = (record: JournalRecord): string => `${JSON.stringify(record)}\n`;

/** Null for a line that is no record: the torn last line of a process that died, or of a disk that was full. */
export function fromLine(line: string): JournalRecord | null {
  try {
    const record: unknown = JSON.parse(line);
    return typeof record === 'object' &&
      record !== null &&
      'job' in record &&
      'type' in record &&
      TYPES.has(record.type)
      ? (record as JournalRecord)
      : null;
  } catch {
    return null;
  }
}
