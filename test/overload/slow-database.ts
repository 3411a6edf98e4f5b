/** A TCP proxy to a database: all connections together send it at most so many bytes a second. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export class SlowDatabase {
  readonly #target: URL;
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  #bytes = 0;
  /** When all that was sent so far has passed. */
  #freeAt = 0;
  /** Infinite: it does not slow anything. */
  bytesPerSecond = Number.POSITIVE_INFINITY;

  constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
  }

  /** Listens, and returns the URL of the slow database. */
  async open(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    return Object.assign(new URL(this.#target), { host: `127.0.0.1:${port}` }).href;
  }

  /** Bytes that were sent to the database so far. */
  get bytes(): number {
    return this.#bytes;
  }

  close() {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #serve(socket: Socket) {
    const onward = connect(Number(this.#target.port), this.#target.hostname);
    for (const [end, other] of [
      [socket, onward],
      [onward, socket],
    ] as const) {
      this.#sockets.add(end);
      end.setNoDelay(true);
      end.on('error', () => {});
      end.on('close', () => {
        this.#sockets.delete(end);
        other.destroy();
      });
    }
    onward.pipe(socket);
    void this.#forward(socket, onward).catch(() => onward.destroy());
  }

  async #forward(socket: Socket, onward: Socket) {
    for await (const chunk of socket) {
      const bytes = (chunk as Buffer).length;
      this.#bytes += bytes;
      const now = performance.now();
      this.#freeAt = Math.max(now, this.#freeAt) + (bytes / this.bytesPerSecond) * 1_000;
      if (this.#freeAt - now > 1) await sleep(this.#freeAt - now);
      onward.write(chunk);
    }
    onward.end();
  }
}
