/** Makes charges of 1 credit, and counts what comes of them. Its parent sends the load. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { BillingServiceService, ChargeRequest } from '../../src/gen/billing/v1/billing_service.ts';
import type { Load, Outcome } from './load.ts';

const TICK_MS = 5;
const { path } = BillingServiceService.charge;
const identity = (bytes: Buffer) => bytes;

async function main() {
  const [load] = (await once(process, 'message')) as [Load];
  const maker = new LoadMaker(load);
  process.send?.(await maker.run());
  maker.close();
  process.disconnect();
}

class LoadMaker {
  readonly #load: Load;
  readonly #clients: readonly Client[];
  readonly #metadata = new Metadata();
  readonly #latencies: number[] = [];
  readonly #others: Record<string, number> = {};
  #sent = 0;
  #answered = 0;
  #overloaded = 0;
  #late = 0;
  #isEnding = false;

  constructor(load: Load) {
    this.#load = load;
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    this.#clients = Array.from(
      { length: load.connections },
      () => new Client(load.address, credentials.createInsecure(), options),
    );
    this.#metadata.set('x-caller', load.caller);
  }

  async run(): Promise<Outcome> {
    const { perSecond, inFlight, seconds } = this.#load;
    const startedAt = performance.now();
    const endsAt = startedAt + seconds * 1_000;
    if (perSecond === null) for (let count = 0; count < inFlight; count++) this.#send(true);
    for (let now = startedAt; now < endsAt; now = performance.now()) {
      const due = perSecond === null ? 0 : ((now - startedAt) / 1_000) * perSecond;
      while (perSecond !== null && this.#sent < due) this.#send(false);
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.#isEnding = true;
    while (this.#answered < this.#sent)
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    return this.#outcome();
  }

  close() {
    for (const client of this.#clients) client.close();
  }

  #send(again: boolean) {
    const { accountIds, deadlineMs } = this.#load;
    const accountId = accountIds[this.#sent % accountIds.length] ?? '';
    const client = this.#clients[this.#sent % this.#clients.length] as Client;
    const request = ChargeRequest.fromPartial({ accountId, requestId: randomUUID(), credits: 1n });
    const bytes = Buffer.from(ChargeRequest.encode(request).finish());
    const startedAt = performance.now();
    this.#sent += 1;
    client.makeUnaryRequest(
      path,
      identity,
      identity,
      bytes,
      this.#metadata,
      { deadline: Date.now() + deadlineMs },
      (error) => {
        this.#answered += 1;
        this.#count(error, performance.now() - startedAt);
        if (again && !this.#isEnding) this.#send(true);
      },
    );
  }

  #count(error: ServiceError | null, ms: number) {
    if (error === null) this.#latencies.push(ms);
    else if (error.code === status.DEADLINE_EXCEEDED) this.#late += 1;
    else if (error.code === status.RESOURCE_EXHAUSTED && hasDetails(error)) this.#overloaded += 1;
    else this.#others[error.message] = (this.#others[error.message] ?? 0) + 1;
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

const hasDetails = ({ metadata }: ServiceError) =>
  metadata.get('grpc-status-details-bin').length > 0;

await main();
