/**
 * Calls whose requests and responses are bytes: nothing is encoded or decoded that the load does not
 * need. Retries and channelz are off, since they would only cost the client.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { BillingServiceService as billing } from '../../src/gen/billing/v1/billing_service.ts';

export const paths = {
  reserve: billing.reserve.path,
  commit: billing.commit.path,
  release: billing.release.path,
  charge: billing.charge.path,
  purchase: billing.purchase.path,
  estimate: billing.estimate.path,
  getBalance: billing.getBalance.path,
  streamHistory: billing.streamHistory.path,
  batch: billing.batch.path,
} as const;

/** One connection carries 64 calls as well as several do, so there is one for each server. */
export class Calls {
  readonly #clients: readonly Client[];
  readonly #metadata = new Metadata();
  #turn = 0;

  constructor(addresses: readonly string[]) {
    this.#metadata.set('x-caller', 'bench');
    this.#clients = addresses.map(
      (address) =>
        new Client(address, credentials.createInsecure(), {
          'grpc.enable_retries': 0,
          'grpc.enable_channelz': 0,
          'grpc.max_receive_message_length': 64 * 1024 * 1024,
        }),
    );
  }

  /** Settles when every server can be reached. */
  async ready(): Promise<void> {
    const deadline = Date.now() + 10_000;
    await Promise.all(
      this.#clients.map(
        (client) =>
          new Promise<void>((resolve, reject) => {
            client.waitForReady(deadline, (error) => (error ? reject(error) : resolve()));
          }),
      ),
    );
  }

  unary(path: string, request: Buffer, answer: (error: Error | null, response: Buffer) => void) {
    this.#next().makeUnaryRequest(path, same, same, request, this.#metadata, (error, response) =>
      answer(error, response ?? EMPTY),
    );
  }

  stream(
    path: string,
    request: Buffer,
    onMessage: (message: Buffer) => void,
    onEnd: (error: Error | null) => void,
  ) {
    this.#next()
      .makeServerStreamRequest(path, same, same, request, this.#metadata)
      .on('data', onMessage)
      .on('end', () => onEnd(null))
      .on('error', onEnd);
  }

  close() {
    for (const client of this.#clients) client.close();
  }

  #next(): Client {
    this.#turn = (this.#turn + 1) % this.#clients.length;
    return this.#clients[this.#turn] as Client;
  }
}

const same = (bytes: Buffer): Buffer => bytes;
const EMPTY = Buffer.alloc(0);
