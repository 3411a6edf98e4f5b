/**
 * Makes charges of 1 credit, and counts what comes of them. Its parent sends the load. It speaks HTTP/2 itself: at ten
 * times the capacity a client of grpc-js would be the limit, and not the service.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2';
import { status } from '@grpc/grpc-js';
import { BillingServiceService, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import type { Load, Outcome } from './load.ts';

const TICK_MS = 5;
const DETAILS = 'grpc-status-details-bin';

async function main() {
  const [load] = (await once(process, 'message')) as [Load];
  const maker = new LoadMaker(load);
  process.send?.(await maker.run());
  maker.close();
  process.disconnect();
}

type Call = {
  readonly stream: ClientHttp2Stream;
  readonly startedAt: number;
  isAnswered: boolean;
};

class LoadMaker {
  readonly #load: Load;
  readonly #sessions: readonly ClientHttp2Session[];
  readonly #headers: Readonly<Record<string, string>>;
  /** The oldest first: all have the same deadline. */
  #calls: Call[] = [];
  readonly #latencies: number[] = [];
  readonly #others: Record<string, number> = {};
  #sent = 0;
  #answered = 0;
  #overloaded = 0;
  #late = 0;
  #isEnding = false;

  constructor(load: Load) {
    this.#load = load;
    this.#sessions = Array.from({ length: load.connections }, () =>
      connect(`http://${load.address}`),
    );
    this.#headers = {
      ':method': 'POST',
      ':path': BillingServiceService.charge.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      'x-caller': load.caller,
      'grpc-timeout': `${load.deadlineMs}m`,
    };
  }

  async run(): Promise<Outcome> {
    const { perSecond, inFlight, seconds } = this.#load;
    const startedAt = performance.now();
    const endsAt = startedAt + seconds * 1_000;
    if (perSecond === null) for (let count = 0; count < inFlight; count++) this.#send(true);
    for (let now = startedAt; now < endsAt; now = performance.now()) {
      const due = perSecond === null ? 0 : ((now - startedAt) / 1_000) * perSecond;
      while (perSecond !== null && this.#sent < due) this.#send(false);
      await this.#tick();
    }
    this.#isEnding = true;
    while (this.#answered < this.#sent) await this.#tick();
    return this.#outcome();
  }

  close() {
    for (const session of this.#sessions) session.close();
  }

  /** Gives up the calls whose deadline has passed. */
  async #tick() {
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    const now = performance.now();
    const waiting = this.#calls.findIndex(
      ({ startedAt }) => now - startedAt <= this.#load.deadlineMs,
    );
    const late = this.#calls.splice(0, waiting < 0 ? this.#calls.length : waiting);
    for (const call of late) {
      if (call.isAnswered) continue;
      this.#late += 1;
      this.#end(call);
      call.stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  #send(again: boolean) {
    const { accountIds } = this.#load;
    const accountId = accountIds[this.#sent % accountIds.length] ?? '';
    const session = this.#sessions[this.#sent % this.#sessions.length] as ClientHttp2Session;
    const stream = session.request(this.#headers);
    const call: Call = { stream, startedAt: performance.now(), isAnswered: false };
    this.#sent += 1;
    this.#calls.push(call);
    const take = (headers: IncomingHttpHeaders) => {
      if (call.isAnswered || headers['grpc-status'] === undefined) return;
      this.#count(headers, performance.now() - call.startedAt);
      this.#end(call);
      if (again && !this.#isEnding) this.#send(true);
    };
    stream.on('response', take).on('trailers', take).resume();
    stream.on('error', (error) => this.#fail(call, error.message));
    stream.on('close', () => this.#fail(call, 'closed without a status'));
    stream.end(chargeMessage(accountId));
  }

  #end(call: Call) {
    call.isAnswered = true;
    this.#answered += 1;
  }

  #fail(call: Call, error: string) {
    if (call.isAnswered) return;
    this.#others[error] = (this.#others[error] ?? 0) + 1;
    this.#end(call);
  }

  #count(headers: IncomingHttpHeaders, ms: number) {
    const code = Number(headers['grpc-status']);
    if (code === status.OK) this.#latencies.push(ms);
    else if (code === status.DEADLINE_EXCEEDED) this.#late += 1;
    else if (code === status.RESOURCE_EXHAUSTED && headers[DETAILS]) this.#overloaded += 1;
    else {
      const text = `${headers['grpc-message']}`;
      this.#others[text] = (this.#others[text] ?? 0) + 1;
    }
  }

  #outcome(): Outcome {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
    return {
      sent: this.#sent,
      ok: sorted.length,
      overloaded: this.#overloaded,
      late: this.#late,
      others: this.#others,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    };
  }
}

/** A message as gRPC sends it: not compressed, its length, its bytes. */
function chargeMessage(accountId: string): Buffer {
  const request = ChargeRequest.fromPartial({ accountId, requestId: randomUUID(), credits: 1n });
  const bytes = ChargeRequest.encode(request).finish();
  const message = Buffer.allocUnsafe(5 + bytes.length);
  message.writeUInt8(0, 0);
  message.writeUInt32BE(bytes.length, 1);
  message.set(bytes, 5);
  return message;
}

await main();
