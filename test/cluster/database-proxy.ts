/** A TCP proxy between the service and its database: a network that tests can cut. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class DatabaseProxy {
  readonly #target: URL;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port = 0;

  constructor(databaseUrl: string) {
    this.#target = new URL(databaseUrl);
    // Without delay, as the ends send: a network does not wait for more bytes.
    const noDelay = true;
    this.#server = createServer({ noDelay }, (socket) => {
      const { hostname: host, port } = this.#target;
      const onward = connect({ host, port: Number(port), noDelay });
      socket.pipe(onward).pipe(socket);
      for (const [end, otherEnd] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        this.#sockets.add(end);
        end.on('error', () => {});
        end.on('close', () => {
          this.#sockets.delete(end);
          otherEnd.destroy();
        });
      }
    });
  }

  /** Accepts connections, on the same port every time. */
  async open(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address && typeof address === 'object') this.#port = address.port;
  }

  /** Cuts all connections and refuses new ones. */
  async close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Drops silently what the open connections send. New connections work. */
  stall() {
    for (const socket of this.#sockets) socket.unpipe().pause();
  }

  get url(): string {
    const url = new URL(this.#target);
    url.host = `127.0.0.1:${this.#port}`;
    return url.href;
  }
}
