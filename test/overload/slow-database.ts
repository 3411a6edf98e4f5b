/** A way to a database: all connections together send it at most so many bytes a second. */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { TcpProxy } from '../tcp-proxy.ts';

export class SlowDatabase extends TcpProxy {
  /** Bytes that were sent to the database so far. */
  bytes = 0;
  /** Infinite: it does not slow anything. */
  bytesPerSecond = Number.POSITIVE_INFINITY;
  /** When all that was sent so far has passed. */
  #freeAt = 0;

  protected override pass(client: Socket, database: Socket) {
    database.pipe(client);
    void this.#forward(client, database).catch(() => database.destroy());
  }

  async #forward(client: Socket, database: Socket) {
    for await (const chunk of client) {
      const bytes = (chunk as Buffer).length;
      this.bytes += bytes;
      const now = performance.now();
      this.#freeAt = Math.max(now, this.#freeAt) + (bytes / this.bytesPerSecond) * 1_000;
      if (this.#freeAt - now > 1) await sleep(this.#freeAt - now);
      database.write(chunk);
    }
    database.end();
  }
}
