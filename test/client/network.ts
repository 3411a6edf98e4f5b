/** A network between clients and a service that loses answers. */
import type { Socket } from 'node:net';
import { TcpProxy } from '../tcp-proxy.ts';

export class Network extends TcpProxy {
  #bytesLeft = Number.POSITIVE_INFINITY;
  /** True: what the service sends arrives nowhere, and nothing tells. */
  losesAnswers = false;

  /** `port` is that of the service at the time of a connection. */
  constructor(port: () => number) {
    super(() => `http://127.0.0.1:${port()}`);
  }

  /** The service sends so many bytes more before its connection is reset, once. */
  resetAfter(bytes: number) {
    this.#bytesLeft = bytes;
  }

  protected override pass(client: Socket, service: Socket) {
    client.pipe(service);
    service.on('data', (chunk) => this.#answer(client, chunk));
  }

  #answer(client: Socket, chunk: Buffer) {
    if (this.losesAnswers || client.destroyed) return;
    if (chunk.length < this.#bytesLeft) {
      this.#bytesLeft -= chunk.length;
      client.write(chunk);
      return;
    }
    client.write(chunk.subarray(0, this.#bytesLeft));
    this.#bytesLeft = Number.POSITIVE_INFINITY;
    // What was written goes out first.
    client.end(() => client.resetAndDestroy());
  }
}
