/**
 * The log lines of calls. A call has one line: at `info` if it was refused or has failed, as long as there are not too
 * many of these, else at `debug`. The lines of each reason are limited by themselves, so that an overload hides no fault.
 */
import type { Logger } from 'pino';
import type { Attributes } from './attributes.ts';
import { attributesOfCall, toSeconds } from './call-attributes.ts';
import type { CallRecord } from './call-record.ts';
import type { Observer } from './observers.ts';

/** Lines of one reason a second. */
const REFUSALS_PER_SECOND = 10;
const FAULTS_PER_SECOND = 200;
const DETAIL_MAX = 300;

/** What a line has besides attributes. */
type Line = { readonly trace_id?: string; readonly span_id?: string; readonly detail?: string };

type Lines = {
  /** When the present second began, in monotonic milliseconds. */
  since: number;
  count: number;
  leftOut: number;
};

export class CallLog implements Observer {
  readonly #log: Logger;
  readonly #isFault: (status: string) => boolean;
  readonly #lines = new Map<string, Lines>();

  /** `isFault` tells of a gRPC status whether it is a fault of the service; the others are refusals. */
  constructor(log: Logger, isFault: (status: string) => boolean) {
    this.#log = log;
    this.#isFault = isFault;
  }

  callEnded(call: CallRecord) {
    const { failure, status, endedAt } = call;
    if (failure) {
      const isFault = this.#isFault(status);
      const lines = this.#linesOf(failure.reason, endedAt);
      if (lines.count < (isFault ? FAULTS_PER_SECOND : REFUSALS_PER_SECOND)) {
        lines.count += 1;
        const leftOut = lines.leftOut > 0 && { 'scrip.left_out': lines.leftOut };
        lines.leftOut = 0;
        const line = { ...lineOf(call), ...leftOut };
        this.#log.info(line, isFault ? 'call failed' : 'call refused');
        return;
      }
      lines.leftOut += 1;
    }
    if (this.#log.isLevelEnabled('debug')) this.#log.debug(lineOf(call), 'call');
  }

  #linesOf(reason: string, now: number): Lines {
    let lines = this.#lines.get(reason);
    if (!lines) {
      lines = { since: now, count: 0, leftOut: 0 };
      this.#lines.set(reason, lines);
    } else if (now - lines.since >= 1_000) {
      lines.since = now;
      lines.count = 0;
    }
    return lines;
  }
}

const lineOf = (call: CallRecord): Attributes & Line => ({
  'rpc.method': call.method,
  ...(call.batch && { 'scrip.mutation': call.mutation }),
  ...attributesOfCall(call),
  ...(call.failure && { detail: call.failure.message.slice(0, DETAIL_MAX) }),
  'scrip.duration': toSeconds(call.durationMs),
  ...(call.traceId && { trace_id: call.traceId }),
  ...(call.spanId && { span_id: call.spanId }),
});
