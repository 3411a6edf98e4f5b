/**
 * gRPC calls whose requests and responses are bytes: the load generator encodes and decodes only what
 * it needs. Retries and channelz are off, because they only cost the load generator CPU.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { BillingServiceService as billing } from '../../src/gen/billing/v1/billing_service.ts';
import type { LoadTls } from './load-spec.ts';

export const paths = {
  reserve: billing.reserve.path,
  commit: billing.commit.path,
  release: billing.release.path,
  extend: billing.extendReservation.path,
  charge: billing.charge.path,
  purchase: billing.purchase.path,
  estimate: billing.estimate.path,
  getBalance: billing.getBalance.path,
  streamHistory: billing.streamHistory.path,
  batch: billing.batch.path,
} as const;

/** One connection per server: it carries 64 calls as well as several connections do. */
export class Calls {
  readonly #clients: readonly Client[];
  readonly #metadata = new Metadata();
  #last = 0;

  constructor(addresses: readonly string[], tls?: LoadTls) {
    const channel = tls
      ? credentials.createSsl(
          Buffer.from(tls.ca),
          Buffer.from(tls.key),
          Buffer.from(tls.certificate),
        )
      : credentials.createInsecure();
    this.#metadata.set('x-caller', 'bench');
    this.#clients = addresses.map(
      (address) =>
        new Client(address, channel, {
          'grpc.enable_retries': 0,
          'grpc.enable_channelz': 0,
          'grpc.max_receive_message_length': 64 * 1024 * 1024,
        }),
    );
  }

  /** Resolves when every server is connected. */
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

  unary(
    path: string,
    request: Buffer,
    onResponse: (error: Error | null, response: Buffer) => void,
  ) {
    this.#next().makeUnaryRequest(
      path,
      identity,
      identity,
      request,
      this.#metadata,
      (error, response) => onResponse(error, response ?? EMPTY),
    );
  }

  stream(
    path: string,
    request: Buffer,
    onMessage: (message: Buffer) => void,
    onEnd: (error: Error | null) => void,
  ) {
    this.#next()
      .makeServerStreamRequest(path, identity, identity, request, this.#metadata)
      .on('data', onMessage)
      .on('end', () => onEnd(null))
      .on('error', onEnd);
  }

  close() {
    for (const client of this.#clients) client.close();
  }

  #next(): Client {
    this.#last = (this.#last + 1) % this.#clients.length;
    return this.#clients[this.#last] as Client;
  }
}

const identity = (bytes: Buffer): Buffer => bytes;
const EMPTY = Buffer.alloc(0);
